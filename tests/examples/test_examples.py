"""The examples, run as a reader runs them, in a folder of their own."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.documents import ROOT
from helpers.program import environment

EXAMPLES = ROOT / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))
A_NUMBER = r"([\d.]+(?:e[+-]\d+)?)"
PNG = b"\x89PNG\r\n\x1a\n"


def run(name: str, *arguments: str, folder: Path) -> str:
    """What an example prints; it must end well, and a warning is an error."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py", *arguments],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def seconds_of_children() -> float:
    """The time of processors that ended processes have taken, whatever else the machine does."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def number(pattern: str, printed: str) -> float:
    """The number that a pattern ends with."""
    found = re.search(pattern + A_NUMBER, printed)
    assert found, printed
    return float(found[1])


def table(printed: str) -> dict[str, tuple[float, ...]]:
    """The rows of the table of networks: parameters, test error, equivariance error, seconds."""
    rows = re.findall(r"^(\w[\w, ]*?)  +([\d,]+) +(\S+) +(\S+) +(\S+)$", printed, re.MULTILINE)
    return {name: tuple(float(n.replace(",", "")) for n in numbers) for name, *numbers in rows}


def test_the_examples_are_known() -> None:
    assert NAMES == ["custom_group", "inertia", "multilinear"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_description_and_a_command_line(name: str, tmp_path: Path) -> None:
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert f"python examples/{name}.py" in text
    usage, _, rest = run(name, "--help", folder=tmp_path).partition("\n\n")
    assert usage.startswith(f"usage: {name}.py")
    assert len(rest.splitlines()[0]) > 30


class TestInertia:
    @pytest.mark.slow
    @pytest.mark.parametrize("network", ["EMLP", "MLP"])
    def test_a_few_epochs(self, network: str, tmp_path: Path) -> None:
        arguments = ("--network", network, "--epochs", "12", "--out", "curves.png")
        printed = run("inertia", *arguments, folder=tmp_path)
        assert printed.startswith("Input type: 5V⁰+5V, output type: V²\n")
        assert number("last test loss ", printed) < 11  # the variance of the targets
        assert (tmp_path / "curves.png").read_bytes().startswith(PNG)
        assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
        error = number("Average test equivariance error ", printed)
        assert error <= 5e-7 if network == "EMLP" else error > 0.05

    @pytest.mark.slow
    def test_no_epochs_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(AssertionError, match="at least one epoch, not 0"):
            run("inertia", "--epochs", "0", folder=tmp_path)

    @pytest.mark.slow
    def test_all_epochs_take_little_time_and_beat_the_plain_network(self, tmp_path: Path) -> None:
        started = seconds_of_children()
        printed = run("inertia", folder=tmp_path)
        assert seconds_of_children() - started < 120  # 21 s on two cores that had other work too
        assert (tmp_path / "losses.png").read_bytes().startswith(PNG)
        assert number("Average test equivariance error ", printed) <= 5e-7
        plain = run("inertia", "--network", "MLP", folder=tmp_path)
        assert number("last test loss ", printed) < number("last test loss ", plain) / 50


class TestCustomGroup:
    @pytest.mark.slow
    def test_a_few_epochs_and_a_saved_model(self, tmp_path: Path) -> None:
        printed = run("custom_group", "--epochs", "30", "--folder", "kept", folder=tmp_path)
        assert "4 linear maps from strain to polarisation" in printed
        assert "  Px = xx − yy, Py = − xy − yx, Pz = 0\n" in printed
        assert "leaves 2 piezoelectric constants" in printed
        assert number("outputs differ by ", printed) <= 1e-6
        assert {path.suffix for path in (tmp_path / "kept").iterdir()} == {".json", ".safetensors"}
        rows = table(printed)
        assert list(rows) == ["MLP", "MLP, augmented", "EMLP"]
        assert rows["EMLP"][2] <= 5e-7
        assert min(rows["MLP"][2], rows["MLP, augmented"][2]) > 1e-3

    @pytest.mark.slow
    def test_all_epochs_take_little_time_and_beat_the_plain_networks(self, tmp_path: Path) -> None:
        started = seconds_of_children()
        rows = table(run("custom_group", folder=tmp_path))
        assert seconds_of_children() - started < 60  # 13 s on the same
        assert not list(tmp_path.iterdir())
        assert rows["EMLP"][0] <= rows["MLP"][0]
        assert rows["EMLP"][1] < min(rows["MLP"][1], rows["MLP, augmented"][1]) / 10


def test_multilinear_maps(tmp_path: Path) -> None:
    printed = run("multilinear", folder=tmp_path)
    assert "over SO(4): a basis of shape (2940, 27)" in printed
    assert "The other arrow reads like the axes: True" in printed
    assert number("a relative error of ", printed) <= 1e-13
    assert "over SO(2)  B = [[1, 0], [0, 1]] or [[0, 1], [-1, 0]]" in printed
    assert re.search(r"over SO\(3\) is [+-]1\.000000 x × y\n", printed)
