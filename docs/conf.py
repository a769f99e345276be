"""How the documentation is built: `make docs`, or `make docs-short` for two examples alone."""

import os
import re
import sys
import warnings
from pathlib import Path

import repinv

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
SHORT = os.environ.get("REPINV_DOCS") == "short"

project = "repinv"
author = "the repinv developers"
copyright = "2026, the repinv developers"
version = release = repinv.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "numpydoc",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
    "figures_of_benchmarks",
    "formulas",
]
exclude_patterns = [
    "_build",
    "gallery/searchindex",
    "**/GALLERY_HEADER.rst",
    "**/sg_execution_times.rst",
    "sg_execution_times.rst",
    "tutorials",
]
suppress_warnings = ["config.cache"]
nitpicky = False

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"

extlinks = {
    "doi": ("https://doi.org/%s", "doi:%s"),
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
}

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = True
numpydoc_class_members_toctree = False
numpydoc_show_inherited_class_members = False
numpydoc_xref_param_type = False

html_math_renderer = "mathml"

html_theme = "pydata_sphinx_theme"
html_title = "repinv"
html_static_path = ["_static"]
html_css_files = ["repinv.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_end": ["theme-switcher"],
}
html_sidebars = {"index": [], "start/index": [], "benchmarks": []}
html_context = {"default_mode": "auto"}


def quiet(gallery_conf: dict, fname: str) -> None:
    """Warnings of examples are errors of theirs, as in the tests."""
    warnings.simplefilter("error", RuntimeWarning)


sphinx_gallery_conf = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_(first|which_hog)" if SHORT else r"/plot_",
    "within_subsection_order": "gallery_order.AsRead",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("repinv", "repinv_cnn"),
    "reference_url": {"repinv": None, "repinv_cnn": None},
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 5,
    "abort_on_example_error": True,
    "plot_gallery": "True",
    "reset_modules": ("matplotlib", quiet),
    "image_scrapers": ("matplotlib",),
    "matplotlib_animations": False,
}


def plain(app, what, name, obj, options, lines) -> None:
    """Shapes such as (N, *F) and norms such as |g| are no markup, in docstrings."""
    for index, line in enumerate(lines):
        if line.lstrip().startswith((">>>", "...")):
            continue
        parts = line.split("``")
        parts[::2] = [re.sub(r"(?<![\\*\w])\*F", r"\\*F", part) for part in parts[::2]]
        parts[::2] = [
            re.sub(r"(?<!\\)\|(?=[\wé∇])|(?<=[\w)])\|", r"\\|", part) for part in parts[::2]
        ]
        lines[index] = "``".join(parts)


def described(app, docname, source) -> None:
    """Thumbnails, which the gallery leaves without a text alternative, say what they are of."""
    if docname == "gallery/index":
        source[0] = re.sub(
            r"(sphx_glr_plot_(\w+)_thumb\.png\n\s+:alt:)[^\n]*",
            lambda found: f"{found[1]} a picture of the tutorial: {found[2].replace('_', ' ')}",
            source[0],
        )


def setup(app) -> None:
    """Called by Sphinx; after numpydoc has made sections of docstrings."""
    app.connect("source-read", described)
    app.connect("autodoc-process-docstring", plain, priority=900)
