"""Docstrings of this project: plain text, code, and `names` that become links.

Docstrings hold formulas such as |f(x) − y|² and x_{p(i)}, in which reStructuredText would see
markup. Only code, names, lists and indented blocks keep a meaning.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from reference import signature_of
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

CODE = re.compile(r"(``.+?``|`[^`]+`)", re.DOTALL)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", escape)
    app.connect("missing-reference", find_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def escape(app: Sphinx, kind: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Escape accidental reStructuredText markup, outside of code and literal blocks."""
    paragraphs = re.split(r"(\n\s*\n)", "\n".join(lines))
    literal, parameters = False, parameters_of(value)
    for i, paragraph in enumerate(paragraphs):
        if not paragraph.strip():
            continue
        literal = literal and paragraph.startswith(" ")
        if not literal and not is_table(paragraph) and not paragraph.startswith(">>>"):
            pieces = CODE.split(paragraph)
            pieces[::2] = [escaped(text) for text in pieces[::2]]
            pieces[1::2] = [
                f"``{code.strip('`')}``" if code.strip("`") in parameters else code
                for code in pieces[1::2]
            ]
            paragraphs[i] = "".join(pieces)
        literal = literal or paragraph.rstrip().endswith("::")
    lines[:] = "".join(paragraphs).split("\n")


def parameters_of(value: Any) -> set[str]:
    """Return the names of a callable's parameters: those never link to an entry of that name."""
    signature = signature_of(value) if callable(value) else None
    return set(signature.parameters) if signature else set()


def is_table(paragraph: str) -> bool:
    return re.match(r"\s*=+ =", paragraph) is not None


def escaped(text: str) -> str:
    """Return text with its bars, stars and trailing underscores escaped; bullets stay."""
    text = re.sub(r"(?m)(?<!^)\*|\|", r"\\\g<0>", text.replace("\\", "\\\\"))
    return re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)


def find_name(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.Element
) -> nodes.reference | None:
    """Resolve a name that is written without its package, as in `Basis` or `Job.watch`.

    Among several entries of that name, prefer the one in the current package; otherwise give up.
    """
    if node.get("refdomain") != "py" or app.builder is None:
        return None
    wanted, package = node["reftarget"], node.get("py:module") or ""
    entries = env.domains.python_domain.objects
    found = [
        name
        for name, entry in entries.items()
        if name.endswith("." + wanted)
        and not entry.aliased
        and is_qualified(name.removesuffix("." + wanted))
    ]
    near = [name for name in found if name == f"{package}.{wanted}"]
    own = [name for name in found if entries[name].objtype != "data"]
    for names in (near, found, own):
        if len(names) == 1:
            entry = entries[names[0]]
            return make_refnode(
                app.builder, node["refdoc"], entry.docname, entry.node_id, content, names[0]
            )
    return None


def is_qualified(prefix: str) -> bool:
    """Return whether a prefix names a package, so that what follows is defined at its top."""
    return all(part.islower() for part in prefix.split("."))
