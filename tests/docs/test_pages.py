"""Every block of code on the pages is run, and its output compared with the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers.documents import (
    ADDRESS,
    IN_PYTORCH,
    PRINTED,
    ROOT,
    blocks,
    console,
    printed_by_python,
    require_same,
    run_python,
    run_shell,
    same,
)
from helpers.service import running_service
from intertwine.bases import load_basis

#: Its programs, and those of PyTorch on other pages, run in test_programs_in_pytorch.py.
PYTORCH = "docs/pytorch.md"
PAGES = (
    *("README.md", PYTORCH),
    *(
        f"docs/{name}.md"
        for name in (
            *("index", "format", "command-line", "store", "service", "running"),
            *("from-emlp", "how-it-works", "polynomials", "networks", "inertia", "remote"),
            *("overview", "recipes", "groups-and-reps", "gallery", "glossary", "console"),
            *("flax-and-haiku", "taking-models-elsewhere"),
        )
    ),
)
#: They list names and have nothing to run.
REFERENCE = tuple(f"docs/reference/{p.name}" for p in (ROOT / "docs/reference").glob("*.md"))
ASKING = ("README.md", "docs/service.md")
#: Their blocks train models, or start many processes.
LONG = (
    *("README.md", "docs/command-line.md", "docs/networks.md", "docs/remote.md"),
    *("docs/overview.md", "docs/recipes.md", "docs/polynomials.md"),
)


#: Packages outside of the lock that a page needs: its code runs in the part of CI that has them.
NEEDED = {
    "docs/flax-and-haiku.md": ("flax", "haiku"),
    "docs/taking-models-elsewhere.md": ("torch", "onnx", "onnxscript", "onnxruntime"),
}


def marks(page: str) -> list[pytest.MarkDecorator]:
    """Return the marks of a page: its code may be slow, or need packages that are missing."""
    missing = [name for name in NEEDED.get(page, ()) if find_spec(name) is None]
    skipped = pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")
    return [skipped, *([pytest.mark.slow] if page in LONG else [])]


each = pytest.mark.parametrize(
    "page", [ROOT / name for name in PAGES + REFERENCE], ids=PAGES + REFERENCE
)
each_that_runs = pytest.mark.parametrize(
    "page",
    [pytest.param(ROOT / name, marks=marks(name), id=name) for name in PAGES if name != PYTORCH],
)
#: The cells of a notebook are run, and their errors reported, when the documentation is built.
NOTEBOOK = "{code-cell} ipython3"
#: Languages that nothing can be done with but read them.
TO_READ = ("bibtex", "none", "{toctree}", "{glossary}", "{include} ../CHANGELOG.md", NOTEBOOK)


@each
def test_every_block_is_of_a_language_that_is_tested(page: Path) -> None:
    known = ("python", IN_PYTORCH, "shell", "bash", "console", *PRINTED, *TO_READ)
    for block in blocks(page):
        assert block.language in known or block.language.startswith("{reference} "), block


@contextmanager
def service_of(page: Path, folder: Path) -> Iterator[str]:
    """The address of a service that runs where the Python of a page asks one."""
    if not any(b.language == "python" and ADDRESS in b.text for b in blocks(page)):
        yield ADDRESS
        return
    with running_service(folder / "data") as client:
        yield str(client.base_url)


@each_that_runs
def test_python_blocks_run_and_print_what_is_shown(page: Path, tmp_path: Path) -> None:
    with service_of(page, tmp_path) as address:
        printed = run_python(page, tmp_path, address)
    require_same(page, printed)


@each
def test_every_block_of_output_belongs_to_a_program(page: Path) -> None:
    shown = [*printed_by_python(page), *printed_by_python(page, IN_PYTORCH)]
    assert len(shown) == sum(block.language in PRINTED for block in blocks(page))


@each_that_runs
def test_shell_blocks_run(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language != "shell":
            continue
        lines = [line for line in block.text.splitlines(keepends=True) if not is_make(line)]
        ended = run_shell("".join(lines), tmp_path)
        assert ended.returncode == 0, f"{page.name}:{block.line}\n{ended.stdout}"


@each_that_runs
def test_console_blocks_print_what_is_shown(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        for command, shown in console(block) if block.language == "console" else ():
            ended = run_shell(command, tmp_path)
            assert same(ended.stdout, shown), f"{page.name}: {command}\n{ended.stdout}"
            assert ended.returncode == (2 if shown.startswith(("intertwine: ", "Usage: ")) else 0)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(ROOT / "README.md", id="README.md"),
        pytest.param(ROOT / "docs/service.md", id="service.md", marks=pytest.mark.slow),
        pytest.param(ROOT / "docs/overview.md", id="overview.md", marks=pytest.mark.slow),
    ],
)
def test_requests_are_answered_by_a_running_service(page: Path, tmp_path: Path) -> None:
    """The blocks in `bash`, as printed but for the port, which may be taken here."""
    asked = [block for block in blocks(page) if block.language == "bash"]
    assert asked
    with running_service(tmp_path / "data") as client:
        for block in asked:
            assert f"{ADDRESS}/" in block.text
            text = block.text.replace(ADDRESS, str(client.base_url).rstrip("/"))
            ended = run_shell(text, tmp_path)
            assert ended.returncode == 0, ended.stdout
            assert "problem" not in ended.stdout
    if (tmp_path / "basis.safetensors").exists():
        assert load_basis(tmp_path / "basis.safetensors").shape == (27, 1)


@each
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith("https://"):
            file, _, section = target.partition("#")
            aim = page.parent / file if file else page
            assert aim.is_file(), target
            if section:
                titles = re.findall(r"^#+ (.+)$", aim.read_text(encoding="utf-8"), re.MULTILINE)
                slugs = [
                    re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles
                ]
                assert section in slugs, target


def is_make(line: str) -> bool:
    return re.match(r"make( |$)", line) is not None
