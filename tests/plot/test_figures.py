"""Figures show what they are given, and touch no global state."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex

from repinv.io import files
from repinv.plot import figures

rng = np.random.default_rng(0)
IMAGES = rng.random((5, 32, 48))
ERRORS = np.array([0.5, 0.1, 0.4, 0.2, 0.3])
ENERGY = np.geomspace(1, 1e-4, 60)[:, None] * (1 + rng.random((60, 5)))
TRACE = {"energy": ENERGY, "data": 0.9 * ENERGY, "total_variation": 0.1 * ENERGY}


def _draw(**options):
    return figures.inversion_figure(IMAGES, ERRORS, TRACE, **options)


def test_panels_are_photograph_features_best_preimages_and_energy():
    glyph = rng.random((64, 96))
    figure = _draw(original=IMAGES[0], glyph=glyph, title="hog.vlfeat", match=None)
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles[:2] == ["photograph", "its features"]
    assert [title.split("error ")[1] for title in titles[2:-1]] == ["10 %", "20 %", "30 %", "40 %"]
    assert titles[-1] == "energy and its terms"
    np.testing.assert_array_equal(figure.axes[2].images[0].get_array(), IMAGES[1])


def test_preimages_have_the_contrast_of_the_photograph():
    faint = 0.5 + 0.1 * (IMAGES - 0.5)
    figure = figures.inversion_figure(faint, ERRORS, TRACE, original=IMAGES[1])
    drawn = figure.axes[1].images[0].get_array()
    np.testing.assert_allclose(drawn, IMAGES[1], atol=1e-6)
    assert figure.axes[1].get_title(loc="left").endswith("contrast matched")
    plain = figures.inversion_figure(faint, ERRORS, TRACE)
    np.testing.assert_array_equal(plain.axes[0].images[0].get_array(), faint[1])


def test_images_are_shown_on_the_scale_from_black_to_white():
    figure = _draw(original=0.5 * IMAGES[0])
    assert figure.axes[0].images[0].get_clim() == (0, 1)
    assert figure.axes[1].images[0].get_clim() == (0, 1)


def test_what_is_not_given_is_not_drawn():
    assert len(_draw().axes) == 5
    assert len(figures.inversion_figure(IMAGES[:1], ERRORS[:1], TRACE).axes) == 2


def test_the_energy_can_be_left_out():
    figure = figures.inversion_figure(IMAGES[:1], ERRORS[:1], None, original=IMAGES[0])
    assert len(figure.axes) == 2
    assert all(axis.images for axis in figure.axes)


def test_curves_are_those_of_the_best_preimage():
    lines = {line.get_label(): line for line in _draw().axes[-1].lines}
    assert set(lines) == {"energy", "data", "total variation"}
    np.testing.assert_array_equal(lines["energy"].get_xdata(), np.arange(1, 61))
    np.testing.assert_array_equal(lines["energy"].get_ydata(), ENERGY[:, 1])
    np.testing.assert_array_equal(lines["data"].get_ydata(), 0.9 * ENERGY[:, 1])


def test_lines_differ_in_colour_and_style():
    lines = _draw().axes[-1].lines
    assert len({to_hex(line.get_color()) for line in lines}) == len(lines)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_evaluations_that_failed_leave_a_gap(bad):
    energy = ENERGY.copy()
    energy[10:20] = bad
    figure = figures.inversion_figure(IMAGES, ERRORS, {"energy": energy})
    figure.canvas.draw()
    (line,) = figure.axes[-1].lines
    assert np.isnan(line.get_ydata()[10:20]).all()
    np.testing.assert_array_equal(line.get_ydata()[20:], ENERGY[20:, 1])


def test_a_run_without_evaluations_can_be_drawn():
    figure = figures.inversion_figure(IMAGES, ERRORS, {"energy": np.zeros((0, 5))})
    figure.canvas.draw()
    assert len(figure.axes) == 5


@pytest.mark.parametrize("shape", [(2, 40, 40, 3), (1, 20, 300), (1, 300, 20)])
def test_colour_and_long_images_are_drawn(shape, tmp_path):
    figure = figures.inversion_figure(rng.random(shape), ERRORS[: shape[0]], TRACE)
    figures.save(figure, tmp_path / "f.png")
    assert files.read(tmp_path / "f.png").std() > 10


@pytest.mark.parametrize(
    ("name", "start"), [("f.png", b"\x89PNG"), ("f.pdf", b"%PDF"), ("f.svg", b"<?xml")]
)
def test_figures_are_written_in_three_kinds(tmp_path, name, start):
    figures.save(_draw(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_figure_of_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"ends in one of \.png, \.pdf, \.svg"):
        figures.save(_draw(), tmp_path / "f.txt")


def test_no_window_system_is_touched():
    code = "import sys, repinv.plot.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
