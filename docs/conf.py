"""How Sphinx builds the site: `make docs`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "estimators")]

from spectral_nn import __version__  # noqa: E402

project = "spectral-nn"
author = "the spectral-nn developers"
version = release = __version__
language = "en"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_copybutton",
    "_site.pages",
    "_site.mathml",
]
root_doc = "index"
# README.md is the index of this folder where no site is built
exclude_patterns = ["README.md", "_*"]
templates_path = ["_templates"]
default_role = "py:obj"  # names in single backticks: links where the site has a page of them

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4  # as code hosts make them

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc has the types
numpydoc_show_class_members = False  # the template lists them
html_math_renderer = "mathml"

toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = "spectral-nn"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_sidebars = {name: [] for name in ("index", "start", "choose", "extending", "changelog")}
html_theme_options = {
    "logo": {"text": "spectral-nn"},
    "header_links_before_dropdown": 7,
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
copyright = "the spectral-nn developers, BSD-3-Clause"
