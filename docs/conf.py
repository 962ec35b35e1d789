"""How the documentation is built: Markdown (MyST) in, a furo-styled site out."""

import os
from importlib.metadata import version as installed_version

project = "Intertwine"
release = version = installed_version("intertwine")

extensions = ["myst_nb"]  # Markdown, and notebooks in Markdown that are run as they are built
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3  # so that pages can link to each other's sections

nb_execution_mode = "auto"
nb_execution_raise_on_error = True
nb_execution_timeout = 120  # seconds a cell
os.environ.setdefault("INTERTWINE_CACHE", "off")  # notebooks leave the cache of whoever builds

html_theme = "furo"
html_title = f"Intertwine {release}"
html_show_copyright = False
