"""How the documentation is built: Markdown (MyST) in, a furo-styled site out."""

from importlib.metadata import version as installed_version

project = "Intertwine"
release = version = installed_version("intertwine")

extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3  # so that pages can link to each other's sections

html_theme = "furo"
html_title = f"Intertwine {release}"
html_show_copyright = False
