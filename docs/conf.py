"""How Sphinx builds the documentation: sphinx-build -W docs docs/_build (the extra `docs`)."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import generate  # noqa: E402  beside this file

import sgdsheet  # noqa: E402

project = "sgdsheet"
author = "The sgdsheet authors"
version = release = sgdsheet.__version__
project_copyright = "2026, the sgdsheet authors"

extensions = ["myst_parser", "sphinx_copybutton"]
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = "sgdsheet"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#27567F", "color-brand-content": "#1F5F94"},
    "dark_css_variables": {"color-brand-primary": "#8DB8DC", "color-brand-content": "#8DB8DC"},
}
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = False

generate.write(HERE)
