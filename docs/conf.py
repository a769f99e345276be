"""How the documentation is built: `make docs`, or `make docs-short` for two examples alone."""

import inspect
import os
import re
import sys
import warnings
from pathlib import Path

import numpydoc.xref
from docutils import nodes

import repinv
import repinv_cnn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import gallery_figures  # noqa: E402 — beside this file
import gallery_order  # noqa: E402

gallery_figures.register()
SHORT = os.environ.get("REPINV_DOCS") == "short"

project = "repinv"
author = "the repinv developers"
copyright = "2026, the repinv developers"
version = release = repinv.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
    "sphinx_copybutton",
    "sphinx-mathjax-offline",
    "changelog",
    "command_help",
    "figures_of_benchmarks",
    "figures_of_theory",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "_templates",
    "gallery/searchindex",
    "**/GALLERY_HEADER.rst",
    "**/sg_execution_times.rst",
    "sg_execution_times.rst",
    "tutorials",
]
suppress_warnings = ["config.cache"]
nitpicky = False
#: What stands in single backticks is a name; public ones become links.
default_role = "py:obj"

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"

extlinks = {
    "doi": ("https://doi.org/%s", "doi:%s"),
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
}

autosummary_generate = True
#: Pages of encoders list what those of a family have in common too; all else is `Encoder`'s.
autosummary_context = {
    "encoders": [
        f"{module.__name__}.{name}"
        for module in (repinv, repinv_cnn)
        for name in module.__all__
        if inspect.isclass(one := getattr(module, name)) and issubclass(one, repinv.Encoder)
    ]
}
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
# Types of Python and NumPy would link into their sites' inventories, which take a network.
numpydoc.xref.DEFAULT_LINKS.clear()
numpydoc_xref_aliases = {
    name: f"{module.__name__}.{name}"
    for module in (repinv, repinv_cnn)
    for name in module.__all__
    if inspect.isclass(getattr(module, name))
}

#: Equations are numbered by the page of the theory that they stand on. Other numbers would run over
#: the whole site: of them nothing is printed.
numfig = math_numfig = True
numfig_secnum_depth = 1
numfig_format = dict.fromkeys(("figure", "table", "code-block"), "%.0s")
mathjax3_config = {"tex": {"macros": {"argmin": r"\\operatorname*{arg\\,min}"}}}

html_theme = "pydata_sphinx_theme"
html_title = "repinv"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["repinv.css"]
html_js_files = ["slider.js"]
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_end": ["theme-switcher"],
    "logo": {"text": f"repinv {version}"},
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
    "subsection_order": [f"tutorials/{folder}" for folder in gallery_order.READ],
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
    "image_scrapers": (gallery_figures.scraper,),
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


def described(app, doctree) -> None:
    """Thumbnails, which the gallery leaves without a text alternative, say what they are of."""
    for image in doctree.findall(nodes.image):
        found = re.search(r"sphx_glr_plot_(\w+)_thumb", image["uri"])
        if found and not image.get("alt"):
            image["alt"] = f"a picture of the tutorial: {found[1].replace('_', ' ')}"


def pictured(app, docname: str, source: list[str]) -> None:
    """A tutorial begins with its picture, that of its thumbnail, where it was run."""
    found = re.fullmatch(r"gallery/(\w+)/plot_(\w+)", docname)
    if not found:
        return
    folder, name = found.groups()
    script = (HERE / "tutorials" / folder / f"plot_{name}.py").read_text()
    number = re.search(r"sphinx_gallery_thumbnail_number = (\d+)", script)
    picture = (
        f"gallery/{folder}/images/sphx_glr_plot_{name}_{int(number[1] if number else 1):03d}.png"
    )
    if not (HERE / picture).exists():
        return
    heading = re.search(r"^(.+)\n=+\n", source[0], re.MULTILINE)
    directive = gallery_figures.headed(f"/{picture}", name)
    source[0] = source[0][: heading.end()] + directive + source[0][heading.end() :]


def setup(app) -> None:
    """Called by Sphinx; after numpydoc has made sections of docstrings."""
    app.connect("source-read", pictured)
    app.connect("doctree-read", described)
    app.connect("autodoc-process-docstring", plain, priority=900)
