"""The figures that the site draws when it is built."""

import importlib
import json
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def beside(monkeypatch):
    """Modules that stand in the folder of the documentation."""
    pytest.importorskip("matplotlib")
    if not DOCS.exists():
        pytest.skip("needs the checkout: docs/ is not beside tests/")
    monkeypatch.syspath_prepend(str(DOCS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(DOCS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def tables(name):
    return json.loads((DOCS / "benchmarks" / f"{name}.json").read_text())["tables"]


def test_every_plot_of_a_benchmark_has_its_file_and_draws_its_numbers(beside):
    plots = beside("plots_of_benchmarks")
    for name, draw in plots.PLOTS.items():
        figure = draw(tables(name))
        assert any(axis.has_data() for axis in figure.axes), name
    held = {name: tables(name) for name in ("invert_hog", "hog_kernels", "ladder")}
    assert len(plots.summary(held).axes) == 3


@pytest.mark.parametrize(
    ("cell", "value"),
    [("126,976", 126976), ("0.17 %", 0.17), ("4.7 ± 2.6 % (3.9)", 4.7), ("3.3e-07", 3.3e-7)],
)
def test_numbers_are_read_from_cells(beside, cell, value):
    assert beside("plots_of_benchmarks").number(cell) == value


def test_a_cell_without_a_number_is_not_drawn(beside):
    assert np.isnan(beside("plots_of_benchmarks").number("agrees"))


def test_figures_of_tutorials_draw_images_at_whole_multiples(beside):
    pytest.importorskip("sphinx_gallery")
    import matplotlib as mpl

    import repinv

    hog = repinv.HOG.vlfeat()
    image = np.random.default_rng(0).random((96, 96)).astype(np.float32)
    result = repinv.invert(hog(image), hog, shape=image.shape, max_iter=2)
    with mpl.rc_context({"backend": "agg"}):
        figures = beside("gallery_figures")
        figure = result.plot(image)
        figures.resolve(figure)
    scale = figure._original_dpi / figure.dpi
    width = figure.axes[-1].get_window_extent().width * scale
    assert width / 96 == pytest.approx(round(width / 96), abs=0.01)


def test_every_tutorial_says_what_its_picture_shows(beside):
    pytest.importorskip("sphinx_gallery")
    figures = beside("gallery_figures")
    said = tomllib.loads(figures.CAPTIONS.read_text(encoding="utf-8"))
    tutorials = {path.stem.removeprefix("plot_") for path in DOCS.glob("tutorials/*/plot_*.py")}
    assert said.keys() == tutorials
    assert all(one["alt"] and one["caption"].endswith(".") for one in said.values())
    text = figures.headed("/images/one.png", "glyph")
    assert text.startswith("\n.. figure:: /images/one.png\n   :alt: A disc,")
