"""Programs of PyTorch on the pages run without JAX, and print what is shown.

CI also runs these tests in an environment that has no JAX.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.documents import IN_PYTORCH, ROOT, require_same, run_python

pytest.importorskip("torch")

PROGRAMS = {
    "README.md": IN_PYTORCH,
    "docs/from-emlp.md": IN_PYTORCH,
    "docs/pytorch.md": "python",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_print_what_is_shown(name: str, tmp_path: Path) -> None:
    page, language = ROOT / name, PROGRAMS[name]
    printed = run_python(page, tmp_path, language=language, without=["jax", "jaxlib", "equinox"])
    assert printed
    require_same(page, printed, language)
