"""Results, comparisons and features draw themselves; nothing loads matplotlib before."""

import dataclasses
import io
import re
import subprocess
import sys

import matplotlib.figure
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from photographs import FACE

import repinv
from repinv.plot import figures, notebook
from repinv.solvers.minimize import Snapshot

IMAGE = FACE
HOG = repinv.HOG.vlfeat()
SIFT = repinv.DSIFT.vlfeat(4, 4)


@pytest.fixture(scope="module")
def result():
    return repinv.invert(HOG(IMAGE), HOG, shape=IMAGE.shape, max_iter=20, n_preimages=2)


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def pictures(figure):
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


def test_a_result_is_drawn_beside_the_photograph_and_its_features(result):
    figure = result.plot(IMAGE)
    first, second, third, fourth = titles(figure)
    assert (first, second) == ("photograph", "its features")
    order = np.argsort(result.error)
    assert third.startswith(f"pre-image 1, error {100 * result.error[order[0]]:.2g} %")
    assert fourth.startswith(f"pre-image 2, error {100 * result.error[order[1]]:.2g} %")
    assert "contrast matched" in third
    # Matched: brightness and contrast of the photograph, up to what [0, 1] cuts off.
    drawn = pictures(figure)[2]
    assert abs(drawn.mean() - IMAGE.mean()) < 0.05
    assert 0.8 * IMAGE.std() < drawn.std() <= 1.001 * IMAGE.std()
    assert repinv.metrics.ncc(drawn, result.images[order[0]]) > 0.9


@pytest.fixture(scope="module")
def stack():
    """Images of three rows of features of OpenCV's windows, two for each, and the photographs."""
    photographs = np.stack([FACE[:, 8:40].repeat(2, axis=0), FACE.T[:, 16:48].repeat(2, axis=0)])
    photographs = np.concatenate([photographs, 1 - photographs[:1]]).repeat(2, axis=2)
    hog = repinv.HOG.opencv((64, 128))
    rows = np.stack([hog(one) for one in photographs])
    return repinv.invert(rows, hog, max_iter=12, n_preimages=2), photographs


def test_several_problems_have_a_row_each_in_their_order(stack):
    result, photographs = stack
    figure = result.plot(photographs, match=None)
    assert len(figure.axes) == 12
    shown = pictures(figure)
    for number in range(3):
        row = shown[4 * number : 4 * number + 4]
        np.testing.assert_allclose(row[0], photographs[number], atol=1e-6)
        pair = slice(2 * number, 2 * number + 2)
        order = 2 * number + np.argsort(result.error[pair])
        glyph = result.encoder.glyph(result.features[order[0]], shape=photographs[0].shape)
        np.testing.assert_array_equal(row[1], glyph)
        np.testing.assert_array_equal(row[2], result.images[order[0]])
        np.testing.assert_array_equal(row[3], result.images[order[1]])
        assert figure.axes[4 * number].texts[0].get_text() == f"row {number + 1} of 3"
    traced = result.plot(trace=True).axes
    best = int(np.argmin(result.error[4:]))
    curve = traced[-1].get_lines()[0].get_ydata()
    np.testing.assert_array_equal(curve, result.trace["energy"][:, 4 + best])
    assert len(result.plot(axes=matplotlib.figure.Figure().subplots(1, 9)).axes) == 9
    assert "data:image/png" in result._repr_mimebundle_()["text/html"]


def test_photographs_that_are_not_one_for_each_problem_are_refused(stack):
    result, photographs = stack
    for wrong in (photographs[:2], photographs[0], [photographs[0], FACE]):
        with pytest.raises(ValueError, match="a photograph for each of the 3 rows"):
            result.plot(wrong)
    with pytest.raises(ValueError, match="for each picture"):
        result.plot(axes=matplotlib.figure.Figure().subplots())
    with pytest.raises(ValueError, match="spread"):
        _ = result.spread


def test_a_stack_of_one_photograph_is_that_photograph(result):
    assert titles(result.plot(IMAGE[None])) == titles(result.plot(IMAGE))
    with pytest.raises(ValueError, match="expected one photograph"):
        result.plot(np.stack([IMAGE, IMAGE]))


def test_titles_of_narrow_pictures_do_not_overlap(stack):
    result, photographs = stack
    figure = result.plot(photographs)
    row = repinv.Reconstruction("HOG.opencv(win_size=(64, 128))", 0.1, 1, 0.4, 0.5, 9.0)
    row = dataclasses.replace(row, image=photographs[0])
    compared = repinv.Comparison((row,) * 3, photographs[0]).plot()
    alone = repinv.invert(result.features[0], result.encoder, max_iter=3, n_preimages=3)
    for shown in (figure, compared, alone.plot(photographs[0], trace=True)):
        shown.canvas.draw()
        frame = shown.bbox
        boxes = [axes._left_title.get_window_extent() for axes in shown.axes]
        assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
        for number, one in enumerate(boxes):
            assert not any(one.overlaps(other) for other in boxes[number + 1 :] if other.width)


def test_an_image_unlike_the_photograph_keeps_its_contrast_too():
    noise = np.random.default_rng(0).random(IMAGE.shape)
    drawn, word = figures.matched(0.5 + 0.01 * noise, IMAGE, "contrast")
    assert drawn.std() > 0.8 * IMAGE.std()
    assert "contrast matched" in word


def test_matching_can_be_left_out_and_the_title_then_says_nothing(result):
    figure = result.plot(IMAGE, match=None)
    assert not any("matched" in title for title in titles(figure))
    best = result.images[np.argmin(result.error)]
    np.testing.assert_array_equal(pictures(figure)[2], best)
    assert len(result.plot().axes) == 3
    assert len(result.plot(encoder_picture=False).axes) == 2
    with pytest.raises(ValueError, match="'contrast' or None"):
        result.plot(IMAGE, match="mean")
    with pytest.raises(ValueError, match="64x64 pixels"):
        result.plot(IMAGE[:32])


def test_the_energy_is_drawn_where_it_is_wanted(result):
    axes = result.plot(trace=True).axes[-1]
    assert {line.get_label() for line in axes.lines} >= {"energy", "data"}


def test_a_result_is_drawn_into_given_axes(result):
    figure = matplotlib.figure.Figure()
    FigureCanvasAgg(figure)
    one, *several = figure.subplots(1, 5)
    assert result.plot(axes=one) is figure
    assert titles(figure)[0].startswith("pre-image 1")
    assert result.plot(IMAGE, axes=several) is figure
    with pytest.raises(ValueError, match="expected 4 axes"):
        result.plot(IMAGE, axes=several[:2])


def test_the_largest_response_comes_first():
    found = repinv.maximize(HOG, 3, shape=(48, 48), n_images=2, max_iter=10)
    first = titles(found.plot(encoder_picture=False))[0]
    assert first.startswith(f"image 1, response {found.response.max():.3g}")
    html = found._repr_mimebundle_()["text/html"]
    assert '<th style="text-align: left">response</th>' in html


def test_a_notebook_gets_the_picture_and_what_is_worth_reading(result):
    bundle = result._repr_mimebundle_()
    assert bundle["text/plain"] == repr(result)
    assert 'src="data:image/png;base64,iVBOR' in bundle["text/html"]
    assert f"{100 * result.error[0]:.3g} %" in bundle["text/html"]
    assert f"{result.evaluations}, stopped by max_iter" in bundle["text/html"]


def test_notes_and_names_are_escaped(result):
    nasty = dataclasses.replace(result, notes=("<script>alert(1)</script>",))
    assert "<script>" not in notebook.result_html(nasty)
    row = repinv.Reconstruction("<b>bold</b>", error=0.1, image=IMAGE)
    html = notebook.comparison_html(repinv.Comparison((row,), IMAGE))
    assert "<b>" not in html
    assert "&lt;b&gt;bold" in html


def test_a_comparison_shows_its_images_and_its_table():
    found = repinv.compare(IMAGE, [HOG, SIFT], max_iter=10)
    figure = found.plot()
    assert titles(figure)[0] == "photograph"
    assert all("contrast matched" in title for title in titles(figure)[1:])
    assert not any("matched" in title for title in titles(found.plot(match=None)))
    canvas = matplotlib.figure.Figure()
    FigureCanvasAgg(canvas)
    assert found.plot(axes=canvas.subplots(1, 3)) is canvas
    assert titles(canvas)[0] == "photograph"
    with pytest.raises(ValueError, match="expected 3 axes"):
        found.plot(axes=canvas.axes[:2])
    html = found._repr_mimebundle_()["text/html"]
    assert len(re.findall("<tr>", html)) == 1 + len(found.rows)
    for row in found.rows:
        assert f"<td>{row.ssim:.3f}</td>" in html


def test_a_comparison_draws_the_features_that_were_inverted():
    found = repinv.compare(IMAGE, [repinv.Method(HOG, name="bars"), SIFT], max_iter=5)
    first, second, third, fourth, fifth = titles(found.plot(encoder_picture=True))
    assert (first, second, fourth) == ("photograph", "bars\nits features", "DSIFT\nits features")
    assert third.startswith("bars\nerror")
    assert fifth.startswith("DSIFT\nerror")
    shown = pictures(found.plot(encoder_picture=True))
    np.testing.assert_array_equal(shown[1], HOG.glyph(HOG(IMAGE), shape=IMAGE.shape))
    # Those of one method stand in the same row as the images.
    one = found.plot(encoder_picture=["bars"])
    assert [title.split("\n")[0] for title in titles(one)] == [
        "photograph", "bars", "bars", "DSIFT"
    ]  # fmt: skip
    assert len({axes.get_subplotspec().rowspan.start for axes in one.axes}) == 1
    with pytest.raises(ValueError, match=r"names methods of \['bars', 'DSIFT'\]; got \['HOG'\]"):
        found.plot(encoder_picture="HOG")
    # Of more methods each has a row.
    three = dataclasses.replace(found, rows=(*found.rows, found.rows[0]))
    figure = three.plot(encoder_picture=True)
    rows = [axes.get_subplotspec().rowspan.start for axes in figure.axes if axes.images]
    assert rows == [0, 0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("encoder", [HOG, repinv.HOG.skimage(), repinv.HOG.opencv((64, 64))])
def test_glyphs_of_hog_are_drawn(encoder):
    features = encoder(IMAGE)
    (drawn,) = pictures(encoder.plot(features, shape=IMAGE.shape))
    np.testing.assert_array_equal(drawn, encoder.glyph(features, shape=IMAGE.shape))


@pytest.mark.parametrize(
    "encoder",
    [SIFT, repinv.DSIFT.phow(), repinv.DSIFT.natural(3), repinv.DSIFT.kornia(stride=4)],
    ids=["vlfeat", "phow", "natural", "kornia"],
)
def test_stars_of_sift_follow_the_gradient(encoder):
    """A ramp across has gradients across alone: rays along rows, none up or down."""
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    across = encoder.glyph(encoder(ramp), shape=(64, 64))
    down = encoder.glyph(encoder(np.ascontiguousarray(ramp.T)), shape=(64, 64))
    bars = [np.abs(np.diff(glyph, axis=axis)).sum() for glyph in (across, down) for axis in (0, 1)]
    assert bars[0] > 2 * bars[1]
    assert bars[3] > 2 * bars[2]
    assert len(encoder.plot(encoder(ramp), shape=(64, 64)).axes) == 1
    with pytest.raises(ValueError, match="shape="):
        encoder.glyph(encoder(ramp))


def test_words_are_drawn_as_patches_the_most_frequent_first():
    bovw = repinv.BoVW.pretrained(256, grid=(1, 1))
    features = bovw(IMAGE)
    found = titles(bovw.plot(features))
    assert found[0].startswith(f"word {int(np.argmax(features))}, ")
    shares = [float(re.search(r", ([\d.]+) %", title).group(1)) for title in found if title]
    assert shares == sorted(shares, reverse=True)


def test_other_features_are_drawn_as_maps_of_channels_or_bars():
    maps = np.zeros((3, 4, 5), np.float32)
    maps[1] = 2.0
    maps[2, 0] = -1.0

    class Maps(repinv.Encoder):
        descriptor_axis = 0

        def vjp(self, x):
            raise NotImplementedError

        def feature_shape(self, image_shape):
            return maps.shape

    assert [t for t in titles(Maps().plot(maps)) if t] == ["channel 1", "channel 2", "channel 0"]
    bars = HOG.plot(np.arange(1000.0))
    assert len(bars.axes[0].patches) == 250
    heights = [patch.get_height() for patch in bars.axes[0].patches]
    np.testing.assert_allclose(heights, np.arange(1000.0).reshape(-1, 4).mean(axis=1))


def test_a_run_is_watched_line_by_line_outside_of_a_notebook():
    lines = io.StringIO()
    watch = repinv.live(every=20, stream=lines)
    repinv.invert(HOG(IMAGE), HOG, shape=IMAGE.shape, max_iter=60, callback=watch)
    found = re.findall(r"evaluation (\d+): loss ([\d.e-]+)", lines.getvalue())
    iterations = [int(number) for number, _ in found]
    assert iterations[0] == 10
    assert len(iterations) == 3
    assert min(np.diff(iterations)) >= 20
    assert float(found[-1][1]) < float(found[0][1])
    with pytest.raises(ValueError, match="at least 1"):
        repinv.live(every=0)


def test_a_watched_run_is_drawn():
    watch = repinv.live(every=10)
    z = np.full((1, 1, 8, 8), 0.5)
    watch._seen = [(10, 0.5), (20, 0.1)]
    figure = watch._figure(Snapshot(20, np.array([0.1]), z, repinv.Pixels()))
    left, right = figure.axes
    assert left.get_title(loc="left") == "evaluation 20"
    np.testing.assert_allclose(right.lines[0].get_ydata(), [0.5, 0.1])


def test_matplotlib_is_loaded_when_something_is_drawn_and_not_before():
    code = (
        "import sys, numpy as np, repinv\n"
        "hog = repinv.HOG.vlfeat(); image = np.eye(32)\n"
        "result = repinv.invert(hog(image), hog, shape=(32, 32), max_iter=2,\n"
        "                       callback=repinv.live())\n"
        "repr(result); assert 'matplotlib' not in sys.modules\n"
        "result.plot(); assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
