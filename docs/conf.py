"""How the documentation is built: Markdown (MyST) in, a furo-styled site out."""

import os
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "Intertwine"
release = version = installed_version("intertwine")

extensions = [
    "myst_nb",  # Markdown, and notebooks in Markdown, which the build runs
    "reference",  # entries of public names, by autodoc
    "docstrings",  # docstrings, which are not quite reStructuredText
    "mathml",  # formulas as MathML, which work offline
    "offline",  # a check that pages load nothing from other hosts
]
exclude_patterns = ["_extensions"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3  # so that pages can link to each other's sections

nb_execution_mode = "auto"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 120  # seconds a cell
os.environ.setdefault("INTERTWINE_CACHE", "off")  # notebooks do not use the builder's cache

smartquotes = False  # "SO(3)" is a string in Python
default_role = "py:obj"  # a name in a docstring links to its entry, if it has one
add_module_names = False
autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "special-members": "__call__",
}
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"Intertwine {release}"
html_show_copyright = False
html_math_renderer = "mathml"
