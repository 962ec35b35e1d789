"""The program `intertwine`: what it prints, and how it ends."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import intertwine as library
import numpy as np
import pytest
from helpers.program import KEYS, Ended, called, environment, intertwine
from intertwine.bases import Certificate, load_basis
from intertwine.groups import CATALOGUE, SO, Group
from intertwine.reps import basis_key, parse

COMMANDS = ("parse", "basis", "irreps", "groups", "doctor")
GENEROUS = 120  # seconds, on a busy machine, for what must be refused at once
ENOUGH = 3 * 2**30  # bytes of address space, for what must be refused before memory is taken


def complaint(ended: Ended, code: int = 2) -> str:
    """The one message of a program that would not do it."""
    assert ended.code == code, ended.err or ended.out
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert "Exception ignored" not in ended.err
    usage, _, message = ended.err.rpartition("\n\nError: ")  # as click complains, or as we do
    if usage:
        assert usage.startswith("Usage: intertwine ")
        assert usage.endswith(" --help' for help.")
    else:
        assert ended.err.startswith("intertwine: "), ended.err
        message = ended.err.removeprefix("intertwine: ")
    assert 10 < len(message) < 2000
    assert ended.err.count("intertwine: ") <= 1
    return message.strip()


def bounded(*arguments: str | bytes | Path, cwd: Path | None = None) -> Ended:
    """In a process of its own, which may neither take its time nor memory."""
    memory = None if "jax" in arguments else ENOUGH
    return intertwine(*arguments, cwd=cwd, memory=memory, timeout=GENEROUS)


each_way = pytest.mark.parametrize("run", [called, pytest.param(bounded, marks=pytest.mark.slow)])


def write_json(folder: Path, document: Any) -> Path:
    path = folder / "group.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


class TestHelp:
    def test_the_program_names_its_commands_with_examples(self) -> None:
        ended = intertwine("--help")
        assert ended.code == 0
        assert ended.err == ""
        for command in COMMANDS:
            assert re.search(rf"^  {command}  +\w", ended.out, re.MULTILINE)
        assert 'intertwine basis "V**2*V.T+5V0" --group "SO(3)"' in ended.out
        assert "'--'" in ended.out
        assert called("-h").out == ended.out

    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_has_examples_and_they_run(self, command: str, tmp_path: Path) -> None:
        write_json(tmp_path, {"lie_algebra": [[[0, 1], [-1, 0]]]})
        ended = called(command, "--help")
        assert ended.code == 0
        _, _, epilog = ended.out.partition("examples:\n")
        examples = [line.strip() for line in epilog.splitlines() if line.startswith("    ")]
        assert len(examples) >= 2
        for example in examples:
            program, *arguments = shlex.split(example)
            assert program == "intertwine"
            assert arguments[0] == command
            ran = called(*arguments, cwd=tmp_path)
            assert ran.code == 0, ran.err
            assert ran.out

    def test_the_version_is_the_librarys(self) -> None:
        assert called("--version").out == f"{library.__version__}\n"

    def test_nothing_and_what_is_unknown_are_bad_input(self) -> None:
        assert complaint(called()) == "Missing command."
        assert complaint(called("cache")) == "Missing command."
        assert complaint(called("invert")) == "No such command 'invert'."
        assert "No such option '--unknown'." in complaint(called("parse", "V", "--unknown"))
        assert complaint(called("basis")) == "Missing argument 'TEXT'."
        assert "unexpected extra argument (W)" in complaint(called("parse", "V", "W"))

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["basi"], "No such command 'basi'. Did you mean 'basis'?"),
            (["cache", "lst"], "No such command 'lst'. Did you mean 'list'?"),
            (["parse", "V", "--groop"], "No such option '--groop'. Did you mean '--group'?"),
            (["jobs", "list", "--stat", "x"], "No such option '--stat'. Did you mean '--state'?"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else None,
    )
    def test_the_command_or_option_that_was_meant_is_named(
        self, arguments: list[str], expected: str
    ) -> None:
        assert complaint(called(*arguments)) == expected

    def test_python_runs_the_program_as_a_module(self) -> None:
        command = [sys.executable, "-m", "intertwine_api", "parse", "V", "--json"]
        shown = subprocess.run(command, env=environment(), capture_output=True, check=True)
        assert json.loads(shown.stdout)["rep"] == "V"
        ended = subprocess.run([*command, "--groop"], env=environment(), capture_output=True)
        assert ended.returncode == 2
        assert ended.stderr.startswith(b"Usage: intertwine parse ")


class TestCompletion:
    def complete(self, line: str) -> list[str]:
        """The completions of the last word of a line, as bash reads them: type and text."""
        env = {
            "_INTERTWINE_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        }
        ended = intertwine(env=env)
        assert (ended.code, ended.err) == (0, "")
        return ended.out.splitlines()

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_the_script_of_every_shell_asks_the_program(self, shell: str) -> None:
        ended = intertwine(env={"_INTERTWINE_COMPLETE": f"{shell}_source"})
        assert ended.code == 0
        assert f"_INTERTWINE_COMPLETE={shell}_complete" in ended.out

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("intertwine ba", ["plain,basis"]),
            ("intertwine cache v", ["plain,verify"]),
            ("intertwine cache --h", ["plain,--help"]),
            ("intertwine basis V --gr", ["plain,--group"]),
            ("intertwine jobs list --state succ", ["plain,succeeded"]),
            ("intertwine basis V --generators ", ["file,"]),
        ],
        ids=str,
    )
    def test_commands_options_and_values(self, line: str, expected: list[str]) -> None:
        assert self.complete(line) == expected


class TestParse:
    def test_it_shows_how_a_text_is_read(self) -> None:
        ended = called("parse", "V+V**2*V.T+5V0", "--group", "SO13p")
        assert (ended.code, ended.err) == (0, "")
        shown = dict(line.split(None, 1) for line in ended.out.splitlines())
        assert shown["rep"] == "V+V²⊗V*+5V⁰"
        assert shown["canonical"] == "5V⁰+V+V²⊗V*"
        assert shown["group"] == "SO13p()"
        assert shown["size"] == "73"

    def test_as_json(self) -> None:
        document = called("parse", "--json", "V**2*V.T+5V0").json
        assert list(document) == ["rep", "canonical", "group", "size", "dimension", "latex"]
        assert document["rep"] == "V²⊗V*+5V⁰"
        assert document["group"] is document["size"] is None
        assert document["dimension"] == "d**3 + 5"
        assert "otimes" in document["latex"]

    def test_a_size_that_would_not_be_solved_is_shown_all_the_same(self) -> None:
        document = called("parse", "1000000000000V0", "--json").json
        assert document["size"] == 10**12

    def test_where_output_has_few_characters_the_others_are_spelled_out(self) -> None:
        env = {"PYTHONIOENCODING": "ascii"}
        ended = intertwine("parse", "V**2*V.T", env=env)
        assert (ended.code, ended.err) == (0, "")
        assert "V\\xb2\\u2297V*" in ended.out
        assert intertwine("parse", "V**2*V.T", "--json", env=env).json["rep"] == "V²⊗V*"
        assert "Traceback" not in complaint(intertwine("parse", "V⊗⊗V", env=env))


class TestBasis:
    def test_it_prints_the_basis_with_its_certificate(self) -> None:
        ended = called("basis", "V>>V**2", "--group", "SO(3)")
        assert (ended.code, ended.err) == (0, "")
        lines = ended.out.splitlines()
        assert lines[0] == "V³(SO(3)): 1 invariant in 27 dimensions"
        assert "method          svd on numpy (cpu)" in lines
        assert "size × rank     27 × 1" in lines
        assert any(line.startswith("residual") for line in lines)
        assert "0.4082" in ended.out

    def test_a_matrix_of_letters(self) -> None:
        arguments = ["basis", "Indexed(V, 'ijkl=jikl=klij')", "--group", "PointGroup(m-3m)"]
        ended = called(*arguments, "--matrix")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.splitlines()[-6:-2] == [
            "c11  c12  c12    0    0    0",
            "c12  c11  c12    0    0    0",
            "c12  c12  c11    0    0    0",
            "  0    0    0  c44    0    0",
        ]
        matrix = called(*arguments, "--matrix", "--json").json["matrix"]
        assert matrix["parameters"] == ["c11", "c12", "c44"]
        assert matrix["entries"][3] == ["0", "0", "0", "c44", "0", "0"]
        refused = called("basis", "V**4>>V**4", "--group", "SO(3)", "--matrix")
        assert "more than 1,200 entries" in complaint(refused)

    def test_functors_of_reps(self) -> None:
        ended = called("basis", "Sym(2, V)", "--group", "SO(3)")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.splitlines()[0] == "Sym(2, V)(SO(3)): 1 invariant in 6 dimensions"
        elastic = called("basis", "Indexed(V, 'ijkl=jikl=klij')", "--group", "PointGroup(32)")
        assert "6 invariants in 21 dimensions" in elastic.out

    def test_a_large_matrix_is_not_printed(self) -> None:
        ended = called("basis", "V**4", "--group", "S(10)")
        assert "15 invariants in 10,000 dimensions" in ended.out
        assert len(ended.out.splitlines()) < 15

    @pytest.mark.parametrize(
        ("text", "group", "size", "rank"),
        [
            ("V**2*V.T+5V0", "SO(3)", 32, 6),
            ("T(2,2)", "SO13p", 256, 4),
            ("2V(Z(3))*V(S(4)) + V(O(3))**2", None, 33, 3),
            ("V*V.T", "U(2)", 4, 1),
            ("V", "SO(3)", 3, 0),
            ("0", None, 0, 0),
            ("5", None, 5, 5),
        ],
    )
    def test_as_json_it_is_one_object(
        self, text: str, group: str | None, size: int, rank: int
    ) -> None:
        ended = called("basis", text, "--json", *(["--group", group] if group else []))
        assert (ended.code, ended.err) == (0, "")
        document = ended.json
        assert list(document) == KEYS
        assert (document["size"], document["rank"]) == (size, rank)
        assert re.fullmatch("[0-9a-f]{64}", document["key"])
        for name in ("residual", "orthonormality"):
            assert 0 <= document[name] <= 1e-10
        for name in ("size", "rank", "iterations", "bytes"):
            assert type(document[name]) is int
        assert 0 <= document["seconds"] < 60
        assert document["gap"] is None or document["gap"] > 1e3

    def test_the_json_says_what_was_asked_and_what_was_found(self) -> None:
        document = called("basis", "5V0+V.T*V**2", "--group", "SO(3)", "--json").json
        rep = parse("5V0+V.T*V**2")(SO(3))
        assert document["group"] == "SO(3)"
        assert document["rep"] == str(rep) == "5V⁰+V³"
        assert document["canonical"] == "5V⁰+V³"
        assert document["key"] == basis_key(rep)
        assert "svd" in document["method"]
        assert document["backend"] == "numpy"
        assert document["device"] == "cpu"

    def test_an_infinite_gap_is_null(self) -> None:
        document = called("basis", "V**2", "--group", "S(4)", "--json").json
        assert document["gap"] is None
        assert document["method"] == "orbits"

    @pytest.mark.parametrize("method", ["svd", "krylov", "orbits"])
    def test_a_method_asked_for_by_name_is_run(self, method: str) -> None:
        ended = called("basis", "V**3", "--group", "S(4)", "--method", method, "--json")
        document = ended.json
        assert document["method"] == method
        assert document["rank"] == 5
        assert (document["iterations"] > 0) == (method == "krylov")
        plain = called("basis", "V**3", "--group", "S(4)", "--json").json
        assert document["key"] != plain["key"]
        assert plain["method"] == "orbits"

    @pytest.mark.slow
    def test_jax_is_used_where_it_is_asked_for(self) -> None:
        ended = called(
            "basis", "V**3", "--group", "SO(3)", "--backend", "jax", "--device", "cpu", "--json"
        )
        assert ended.json["backend"] == "jax"
        assert ended.json["device"].startswith("cpu")
        assert ended.json["rank"] == 1

    @pytest.mark.parametrize("as_json", [False, True], ids=["printed", "json"])
    @pytest.mark.parametrize("suffix", [".safetensors", ".npy", ".npz"])
    def test_it_writes_the_basis_to_a_file(
        self, suffix: str, as_json: bool, tmp_path: Path
    ) -> None:
        options = ["--json"] if as_json else []
        ended = called(
            "basis", "V**2*V.T+5V0", "--group=SO(3)", "-o", f"q{suffix}", *options, cwd=tmp_path
        )
        assert (ended.code, ended.err) == (0, "")
        assert [entry.name for entry in tmp_path.iterdir()] == [f"q{suffix}"]
        path = tmp_path / f"q{suffix}"
        if suffix == ".safetensors":
            read = load_basis(path)
            matrix, certificate = read.dense(), read.certificate
            assert read.rep == parse("V**2*V.T+5V0")(SO(3))
        elif suffix == ".npy":
            matrix, certificate = np.load(path, allow_pickle=False), None
        else:
            with np.load(path, allow_pickle=False) as file:
                matrix = file["basis"]
                certificate = Certificate.from_json(json.loads(str(file["certificate"])))
                assert json.loads(str(file["rows"]))["rep"] == "V³+5V⁰"
        right = parse("V**2*V.T+5V0")(SO(3)).equivariant_basis().dense()
        np.testing.assert_allclose(matrix @ matrix.T, right @ right.T, atol=1e-10)
        assert certificate is None or (certificate.size, certificate.rank) == (32, 6)
        if as_json:
            assert list(ended.json) == KEYS
        else:
            assert ended.out.endswith(f"\nwritten to q{suffix}\n")

    def test_a_file_that_is_there_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "q.npy").write_text("old")
        arguments = ("basis", "V**2", "--group", "SO(3)", "--output", tmp_path / "q.npy")
        assert called(*arguments).code == 0
        assert np.load(tmp_path / "q.npy").shape == (9, 1)

    def test_the_same_input_gives_the_same_answer_in_every_process(self) -> None:
        def answer(seed: str) -> Any:
            arguments = ("basis", "V+V**2*V.T+3", "--group", "SL(2)", "--json")
            document = intertwine(*arguments, env={"PYTHONHASHSEED": seed}).json
            return {key: document[key] for key in ("key", "group", "rep", "canonical", "rank")}

        assert answer("0") == answer("1") == answer("random")


class TestTextsThatBeginWithADash:
    def test_stand_behind_two_dashes(self) -> None:
        ended = called("parse", "--json", "--", "V")
        assert ended.json["rep"] == "V"
        message = complaint(called("parse", "--", "-V"))
        assert message.startswith("expected")
        assert message.endswith("  -V\n  ^")
        assert complaint(called("basis", "--group", "SO(3)", "--", "--help")).endswith(
            "--help\n  ^"
        )
        assert complaint(called("groups", "--", "-SO(3)")).endswith("  -SO(3)\n  ^")

    def test_without_them_it_is_said_what_to_do(self) -> None:
        assert complaint(called("parse", "-V")) == (
            "No such option '-V'.\nA text that begins with '-' goes behind '--'."
        )

    def test_as_make_try_gives_them(self) -> None:
        ended = called("basis", "--group=SO(3)", "--", "V**2*V.T+5V0")
        assert "6 invariants in 32 dimensions" in ended.out


#: Files that hold no group, and what is said of them.
SPOILED: list[tuple[Any, str]] = [
    ("", "holds no JSON"),
    ("{", "holds no JSON"),
    ("lie_algebra: []", "holds no JSON"),
    ("[" * 1_000_000, "holds no JSON"),
    ("\x00\x01", "holds no JSON"),
    ("[]", "a group is a JSON object"),
    ("null", "a group is a JSON object"),
    ("{}", "needs its size"),
    ({"generators": []}, "unknown keys"),
    ({"lie_algebra": 1}, "a list"),
    ({"lie_algebra": {"a": 1}}, "a list"),
    ({"lie_algebra": [1]}, "a list of rows"),
    ({"lie_algebra": [[]]}, "a list of rows"),
    ({"lie_algebra": [[[]]]}, "not square"),
    ({"lie_algebra": [[[1, 2]]]}, "not square"),
    ({"lie_algebra": [[[1, 2], [3]]]}, "not square"),
    ({"lie_algebra": [[[1, 2], 3]]}, "not square"),
    ({"lie_algebra": [[[[1]]]]}, "a number"),
    ({"lie_algebra": [[[None]]]}, "a number"),
    ({"lie_algebra": [[[True]]]}, "a number"),
    ({"lie_algebra": [[0, 1]]}, "square"),
    ({"lie_algebra": [[[1]], [[1, 0], [0, 1]]]}, "mixed sizes"),
    ({"lie_algebra": [[[1]]], "discrete_generators": [[1, 0]]}, "mixed sizes"),
    ({"lie_algebra": [[[1]]], "d": 3}, "mixed sizes"),
    ('{"lie_algebra": [[[NaN]]]}', "not finite"),
    ('{"discrete_generators": [[[NaN, 0], [0, 1]]]}', "not finite"),
    ('{"lie_algebra": [[[Infinity]]]}', "not finite"),
    ('{"lie_algebra": [[[1e999]]]}', "not finite"),
    ({"lie_algebra": [[[10**400]]]}, "float64"),
    ({"lie_algebra": [[["10**64*10**64*10**64*10**64*10**64"]]]}, "between 1e-300 and 1e300"),
    ({"lie_algebra": [[["nan"]]]}, "expected a number"),
    ({"lie_algebra": [[["1/0"]]]}, "a divisor other than zero"),
    ({"lie_algebra": [[["oo"]]]}, "expected a number"),
    ({"lie_algebra": [[[""]]]}, "expected a number"),
    ({"lie_algebra": [[["__import__('os').system('touch pwned')"]]]}, "expected a number"),
    ({"lie_algebra": [[["(" * 2000 + "1" + ")" * 2000]]]}, "at most 40 deep"),
    ({"lie_algebra": [[["1+" * 500_000 + "1"]]]}, "characters"),
    ({"lie_algebra": [[["2**9999"]]]}, "an exponent of at most 64"),
    ({"lie_algebra": [[["((9**64)**64)**64"]]]}, "1e300"),
    ({"lie_algebra": [[["1e99999"]]]}, "exponent"),
    ({"discrete_generators": [[[0, 0], [0, 1]]]}, "singular"),
    ({"discrete_generators": [[0, 0]]}, "permutation"),
    ({"discrete_generators": [[1, 2]]}, "permutation"),
    ({"discrete_generators": [[0.5, 1]]}, "permutation"),
    ({"discrete_generators": [["a", "b"]]}, "permutation"),
    ({"discrete_generators": [[0, None]]}, "permutation"),
    ({"discrete_generators": [[0, [1]]]}, "generator"),
    ({"discrete_generators": [[10**30, 0]]}, "permutation"),
    ({"d": 0}, "positive integer"),
    ({"d": -3}, "positive integer"),
    ({"d": True}, "positive integer"),
    ({"d": "3"}, "positive integer"),
    ({"d": 10**12}, "positive integer"),
    ({"d": 3, "name": 3}, "a printable text"),
]


class TestPolynomials:
    def test_counts_are_a_series(self) -> None:
        ended = called("molien", "V", "--group", "PointGroup(m-3m)", "--degree", "6")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.splitlines() == [
            "1 + t² + 2t⁴ + 3t⁶ + O(t⁷)",
            "= 1/((1 - t**2)*(1 - t**4)*(1 - t**6))",
        ]
        vectors = called("molien", "2V", "--group", "O(3)", "--degree", "3", "--to", "V", "--json")
        assert vectors.json["coefficients"] == ["0", "2", "0", "6"]

    def test_polynomials_are_formulas(self) -> None:
        ended = called("generators", "2V", "--group", "SO(3)", "--degree", "2")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.splitlines()[-1] == "degree 2  x₄² + x₅² + x₆²"
        ended = called("polynomials", "2V", "--group", "SO(3)", "--degree", "2", "--to", "V")
        assert ended.out.startswith("3 polynomials of degree up to 2 of (2V)(SO(3))\n")
        assert "(x₂x₆ - x₃x₅, -x₁x₆ + x₃x₄, x₁x₅ - x₂x₄)" in ended.out
        none = called("generators", "V", "--group", "SO(3)", "--degree", "1")
        assert none.out == "0 generators of degree up to 1 of V(SO(3))\n"

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["molien", "V", "--degree", "3"], "no group"),
            (["molien", "V", "--group", "SO(3)"], "--degree"),
            (["molien", "V", "--group", "SO(3)", "--degree", "-1"], "from 0 to 1,000"),
            (["molien", "V**20", "--group", "SO(3)", "--degree", "2"], "GB"),
            (["generators", "V", "--group", "SO(3)", "--degree", "65"], "from 0 to 64"),
            (["polynomials", "V(SO(3))", "--degree", "1", "--to", "T("], "expected"),
        ],
    )
    def test_is_refused_with_one_message(self, arguments: list[str], expected: str) -> None:
        assert expected in complaint(called(*arguments))


class TestGenerators:
    ROTATION = ((0, 1), (-1, 0))

    @pytest.mark.parametrize(
        ("document", "rep", "rank"),
        [
            ({"lie_algebra": [ROTATION]}, "V**2", 2),
            ({"lie_algebra": [ROTATION], "discrete_generators": [[[1, 0], [0, -1]]]}, "V**2", 1),
            ({"discrete_generators": [[1, 2, 0], [1, 0, 2]]}, "V**2", 2),
            ({"discrete_generators": [[["0", "1"], ["-1", "0"]]]}, "V**2", 2),
            (
                {"discrete_generators": [[["cos(2*pi/3)", "sin(2*pi/3)"], ["-sqrt(3)/2", "-1/2"]]]},
                "V**2",
                2,
            ),
            ({"lie_algebra": [[["I"]]]}, "V*V.T", 1),
            ({"lie_algebra": [[["2.5e-1*I"]]]}, "V", 0),
            ({"d": 3}, "V", 3),
            ({"d": 2, "lie_algebra": [], "discrete_generators": []}, "V", 2),
        ],
        ids=[
            "rotations",
            "reflections",
            "permutations",
            "strings",
            "roots",
            "i",
            "decimal",
            "d",
            "none",
        ],
    )
    def test_from_a_file(self, document: Any, rep: str, rank: int, tmp_path: Path) -> None:
        path = write_json(tmp_path, document)
        ended = called("basis", rep, "--generators", path, "--json")
        assert (ended.code, ended.err) == (0, "")
        assert ended.json["rank"] == rank
        assert ended.json["group"].startswith("<Group of size")

    def test_a_name_is_the_groups(self, tmp_path: Path) -> None:
        path = write_json(tmp_path, {"lie_algebra": [self.ROTATION], "name": "turns"})
        assert called("parse", "V", "--generators", path, "--json").json["group"] == "turns"

    def test_they_make_the_group_that_they_generate(self, tmp_path: Path) -> None:
        path = write_json(tmp_path, {"lie_algebra": SO(3).lie_algebra.tolist()})
        key = called("basis", "V**3", "--generators", path, "--json").json["key"]
        assert key == called("basis", "V**3", "--group", "SO(3)", "--json").json["key"]
        assert key == basis_key((parse("V**3"))(Group(lie_algebra=SO(3).lie_algebra)))

    @each_way
    @pytest.mark.parametrize(
        ("document", "expected"), SPOILED, ids=lambda value: re.sub(r"\s+", " ", str(value))[:60]
    )
    def test_that_are_none_are_refused(
        self, run: Callable[..., Ended], document: Any, expected: str, tmp_path: Path
    ) -> None:
        path = write_json(tmp_path, document)
        ended = run("basis", "V", "--generators", path, cwd=tmp_path)
        assert expected in complaint(ended)
        assert [entry.name for entry in tmp_path.iterdir()] == ["group.json"]

    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        missing = tmp_path / "missing.json"
        assert str(missing) in complaint(called("basis", "V", "--generators", missing))
        assert str(tmp_path) in complaint(called("basis", "V", "--generators", tmp_path))
        (tmp_path / "latin.json").write_bytes(b'{"name": "Sym\xe9trie"}')
        latin = tmp_path / "latin.json"
        assert "latin.json holds no JSON" in complaint(called("basis", "V", "--generators", latin))

    @pytest.mark.slow
    def test_too_many_exact_entries_are_refused_before_they_are_evaluated(
        self, tmp_path: Path
    ) -> None:
        matrix = [["sqrt(2)/3+cos(pi/7)"] * 101] * 101
        path = write_json(tmp_path, {"lie_algebra": [matrix]})
        ended = called("basis", "V", "--generators", path)
        assert "at most 10,000 entries" in complaint(ended)


class TestRoundedGenerators:
    _ROUNDED: ClassVar = {"discrete_generators": [[[-0.5, -0.866025], [0.866025, -0.5]]]}

    def test_they_are_refused_with_what_to_do(self, tmp_path: Path) -> None:
        path = write_json(tmp_path, self._ROUNDED)
        for command in ("basis", "irreps"):
            said = complaint(called(command, "V**3", "--generators", path), code=1)
            assert "Discrete generator 1 is orthogonal to 7.0e-07, no better" in said

    @pytest.mark.parametrize("refine", [["--refine"], ["--refine=1e-6"], ["--refine", "1e-6"]])
    def test_they_are_refined(self, refine: list[str], tmp_path: Path) -> None:
        path = write_json(tmp_path, self._ROUNDED)
        document = called("basis", "V**3", "--json", "--generators", path, *refine).json
        assert document["rank"] == 2
        assert called("irreps", "V**3", "--generators", path, *refine).code == 0
        assert called("parse", "V**3", "--generators", path, *refine).code == 0

    def test_they_are_taken_as_they_are(self, tmp_path: Path) -> None:
        path = write_json(tmp_path, self._ROUNDED)
        document = called("basis", "V**3", "--json", "--generators", path, "--refine=0").json
        assert document["rank"] == 0

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (["--refine"], "--refine needs a group"),
            (["--group", "SO(3)", "--refine=2"], "is a number above 0 and below 1"),
            (["--group", "SO(3)", "--refine=much"], "a number such as 1e-5 was expected"),
            (["--group", "SO(3)", "--tolerance", "2"], "is a number above 0 and below 1"),
            (["--group", "SO(3)", "--tolerance", "0.1", "--prove"], "leave out --tolerance"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, options: list[str], expected: str) -> None:
        ended = called("basis", "V", *options)
        assert ended.code != 0
        assert expected in ended.err

    def test_a_tolerance_gives_an_approximate_basis(self, tmp_path: Path) -> None:
        learned = {"lie_algebra": [[[0.002, 1.001], [-0.998, -0.001]]]}
        path = write_json(tmp_path, learned)
        arguments = ["basis", "V>>V", "--generators", path, "--tolerance", "5e-3"]
        document = called(*arguments, "--json").json
        assert (document["rank"], document["kind"], document["tolerance"]) == (
            2,
            "approximate",
            5e-3,
        )
        assert document["kept_values"][-1] <= 5e-3 < document["dropped_values"][0]
        assert "approximate, up to a tolerance of 0.005" in called(*arguments).out


class TestBadInput:
    @each_way
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["parse", ""], "expected a rep"),
            (["parse", "   "], "expected a rep"),
            (["parse", "V+"], "  V+\n    ^"),
            (["parse", "V V"], "write V*V"),
            (["parse", "V**"], "  V**\n     ^"),
            (["parse", "V@V"], "  V@V\n   ^"),
            (["parse", "V**-1"], "  V**-1\n     ^"),
            (["parse", "(V"], "expected"),
            (["parse", "W"], "'W' is none of"),
            (["parse", "V\nW"], "expected"),
            (["parse", "V;import os"], "expected"),
            (["parse", "__import__('os').system('id')"], "expected"),
            (["parse", "().__class__.__bases__"], "expected"),
            (["parse", "V.size"], "T, as in V.T"),
            (["parse", b"V\xff"], "\\udcff"),
            (["parse", "(" * 5000 + "V"], "4,096"),
            (["parse", "(" * 2000 + "V" + ")" * 2000], "at most 40 deep"),
            (["parse", "V**(" * 500 + "2" + ")" * 500], "at most 40 deep"),
            (["parse", "V(" * 1000 + ")" * 1000], "expected"),
            (["parse", "V**999999"], "an exponent of at most 256"),
            (["parse", "V**99999999999999999999"], "at most 15 digits"),
            (["parse", "9" * 4000 + "V"], "at most 15 digits"),
            (["parse", "V⁹⁹⁹⁹⁹⁹"], "an exponent of at most 256"),
            (["parse", "V999999"], "an exponent of at most 256"),
            (["parse", "T(999999)"], "an exponent of at most 256"),
            (["parse", "((((V**99)**99)**99)**99)**99"], "factors"),
            (["parse", "99999(V+V0)"], "the sum has 199,998 terms; at most 10,000"),
            (["parse", "(V+V.T+V0)**256"], "more than 10,000 different terms"),
            (["parse", "99999999*99999999"], "integers of at most 1,000,000,000,000"),
            (["parse", "(999999999999V)**200*(999999999999V)**200"], "at most 1,000,000,000,000"),
            (["parse", "(999999999999V+V0)**200*(999999999999V+V0)**200"], "1,000,000,000,000"),
            (["parse", "*".join(["V**256"] * 4), "--group", "Z(9999999)"], "10^"),
            (["parse", "V*" * 60_000], "the text has 120,000 characters; at most 4,096 are read"),
            (["basis", "V" * 120_000, "--group", "SO(3)"], "the text has 120,000 characters"),
            (["basis", "V", "--group", "(" * 120_000], "120,000 characters"),
            (["basis", "V", "--group", "(" * 2_000], "at most 40 deep"),
            (["basis", "1000000000000V0"], "1,000,000,000,000 dimensions"),
            (["basis", "V**40", "--group", "SO(3)"], "dimensions; at most 1,000,000,000"),
            (["basis", "V**256", "--group", "SO(30)"], "about 10^378 dimensions"),
            (["basis", "V**18", "--group", "SO(3)", "--method", "krylov"], "GB"),
            (["basis", "V**13", "--group", "SO(3)", "--method", "svd"], "GB"),
            (["basis", "V"], "--group"),
            (["basis", "V(SO(3))*V"], "no group"),
            (["basis", "V", "--group", ""], "expected a group"),
            (["basis", "V", "--group", "so(3)"], "'so' is none of"),
            (["basis", "V", "--group", "SO"], "SO(n)"),
            (["basis", "V", "--group", "O(3,4)"], "found 2 arguments"),
            (["basis", "V", "--group", "SO(3"], "expected"),
            (["basis", "V", "--group", "SO(0)"], "n of SO(n) is an integer from 1 on, not 0"),
            (["basis", "V", "--group", "SO(-3)"], "  SO(-3)\n     ^"),
            (["basis", "V", "--group", "SO(2.5)"], "expected"),
            (["basis", "V", "--group", "SO(99999)"], "matrix entries"),
            (["basis", "V", "--group", "S(999999999999)"], "matrix entries"),
            (["basis", "V", "--group", "Z(999999999999)"], "matrix entries"),
            (["basis", "V", "--group", "Trivial(999999999999)"], "at most"),
            (["basis", "V", "--group", "C(999999999999)**2"], "expected"),
            (["basis", "V", "--group", "*".join(["Z(9999)"] * 9)], "matrix entries"),
            (["basis", "V", "--group", "*".join(["Trivial(9999)"] * 9)], "at most"),
            (["basis", "V", "--group", "SO(3)", "--method", "magic"], "unknown method 'magic'"),
            (["basis", "V", "--group", "SO(3)", "--method", ""], "unknown method ''"),
            (["basis", "V", "--group", "SO(3)", "--method", "orbits"], "'orbits'"),
            (["basis", "V", "--group", "SO(3)", "--method", "magic"], "magic"),
            (["basis", "V", "--group", "SO(3)", "--backend", "torch"], "unknown backend 'torch'"),
            (["basis", "V", "--group", "S(3)", "--backend", "torch"], "unknown backend 'torch'"),
            (["basis", "V", "--group", "SO(3)", "--backend", "numpy", "--device", "gpu"], "'gpu'"),
            (
                ["basis", "V", "--group", "SO(3)", "--backend", "jax", "--device", "abacus"],
                "abacus",
            ),
            (["basis", "5", "--method", "magic"], "unknown method 'magic'"),
            (["basis", "0", "--backend", "torch"], "unknown backend 'torch'"),
            (["basis", "V(SO(3))", "--group", "O(3)"], "over SO(3) already"),
            (["basis", "V", "--group", "SO(3)", "--group", "O(3)"], "--group was given twice"),
            (["basis", "V", "--group", "SO(3)", "--generators", "x.json"], "not allowed with"),
            (
                ["basis", "V", "--generators", "x.json", "--generators", "y.json"],
                "--generators was given twice",
            ),
            (["parse", "V", "--group", "SO(3)", "--group", "O(3)"], "--group was given twice"),
            (["irreps", "V", "--group", "SO(3)", "--refine", "--refine=0"], "--refine was given"),
            (["groups", "SO(3"], "expected"),
            (["groups", "E8"], "'E8' is none of"),
        ],
        ids=lambda value: str(value)[:60],
    )
    def test_is_refused_at_once_with_one_message(
        self, run: Callable[..., Ended], arguments: list[str | bytes], expected: str
    ) -> None:
        assert expected in complaint(run(*arguments))

    @pytest.mark.parametrize(
        ("output", "expected"),
        [
            ("nowhere/q.npy", "there is no folder"),
            ("q.txt", "a basis is written to .safetensors, .npy, .npz files, not to 'q.txt'"),
            ("q", "a basis is written to"),
            ("", "a basis is written to"),
            (".", "a basis is written to"),
            ("folder.npy", "folder.npy"),
            ("file.txt/q.npy", "file.txt"),
        ],
    )
    def test_a_file_that_cannot_be_written_is_refused_before_the_solve(
        self, output: str, expected: str, tmp_path: Path
    ) -> None:
        (tmp_path / "folder.npy").mkdir()
        (tmp_path / "file.txt").write_text("")
        ended = called(
            *("basis", "V**8", "--group", "SO(4)", "--method", "krylov", "-o", output),
            cwd=tmp_path,
        )
        assert expected in complaint(ended)
        assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["file.txt", "folder.npy"]

    @pytest.mark.slow
    def test_where_memory_runs_out_after_all_it_says_so(self) -> None:
        ended = intertwine(
            *("basis", "V**8", "--group", "SO(3)", "--method", "svd"), memory=900 * 2**20
        )
        assert "memory" in complaint(ended, code=1).lower()

    def test_a_solve_that_fails_is_no_bad_input(self, tmp_path: Path) -> None:
        path = write_json(tmp_path, {"discrete_generators": [[[1, 1e-9], [0, 1]]]})
        ended = called("basis", "V", "--generators", path)
        assert "the rank is ambiguous" in complaint(ended, code=1)


class TestGroups:
    def test_the_whole_catalogue_is_listed(self) -> None:
        ended = called("groups")
        assert (ended.code, ended.err) == (0, "")
        names = [re.match(r"\w+", line)[0] for line in ended.out.splitlines()]
        assert names == list(CATALOGUE)
        assert list(called("groups", "--json").json) == [
            line.split("  ")[0] for line in ended.out.splitlines()
        ]

    def test_one_group_is_described(self) -> None:
        document = called("groups", "Z(3)*S(4)", "--json").json
        assert document["group"] == "Z(3)*S(4)"
        assert document["d"] == 12
        assert document["discrete_generators"] == 4
        assert document["permutation"] is True
        lines = called("groups", "SO(3)").out.splitlines()
        assert "d" in {line.split()[0] for line in lines}


class TestIrreps:
    def test_a_table(self) -> None:
        ended = called("irreps", "V**2", "--group", "SO(3)")
        header, *rows = ended.out.splitlines()
        assert header.split() == ["irrep", "dimension", "type", "multiplicity", "label"]
        expected = [["1", "ℝ", "1", "l=0"], ["3", "ℝ", "1", "l=1"], ["5", "ℝ", "1", "l=2"]]
        assert [row.split()[1:] for row in rows] == expected

    def test_as_json(self) -> None:
        document = json.loads(called("irreps", "T(2,1)", "--group", "SO13p", "--json").out)
        assert sum(i["dimension"] * i["multiplicity"] for i in document["irreps"]) == 64
        assert document["residual"] < 1e-12

    def test_several_groups_are_refused(self) -> None:
        ended = called("irreps", "V(Z(3))*V(O(3))")
        assert (ended.code, ended.out) == (2, "")
        assert "one group" in ended.err


class TestDoctor:
    def test_it_finds_this_installation_in_order(self) -> None:
        ended = called("doctor")
        assert ended.code == 0, ended.out
        assert "FAIL" not in ended.out
        for word in ("numpy", "scipy", "memory", "jax", "V²→V of SO(3) has rank 1"):
            assert word in ended.out

    def test_as_json(self) -> None:
        document = called("doctor", "--json").json
        assert document["ok"] is True
        assert all(check["ok"] for check in document["checks"])
        assert {"versions", "solve"} <= {check["check"] for check in document["checks"]}
