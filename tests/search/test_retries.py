"""Areas that features prove to be flat, and inversions of graphics."""

import dataclasses

import numpy as np
import pytest
from photographs import FACE

import repinv
from repinv.search import flat_areas, retries
from repinv.search.retries import attempted

SQUARE = np.zeros((64, 64), np.float32)
SQUARE[22:42, 18:46] = 1
PHOTOGRAPH = FACE
ENCODERS = {
    "skimage": repinv.HOG.skimage(),
    "small blocks": repinv.HOG.skimage(9, (8, 8), (2, 2)),
    "vlfeat": repinv.HOG.vlfeat(),
    "bilinear": repinv.HOG.vlfeat(bilinear_orientations=True),
    "dalal-triggs": repinv.HOG.vlfeat(variant="dalal-triggs"),
    "opencv": repinv.HOG.opencv(win_size=(64, 64)),
    "opencv, padded": repinv.HOG.opencv(win_size=(64, 64), padding=(8, 8)),
    "dpm": repinv.HOG.dpm(),
    "dense SIFT": repinv.DSIFT.vlfeat(2, 3),
    "natural": repinv.DSIFT.natural(4),
    "kornia": repinv.DSIFT.kornia(stride=2),
}
SHAPE = (1, 64, 64)


@dataclasses.dataclass(frozen=True)
class Differences(repinv.Encoder):
    """Squared differences along axes, pooled over cells of 4x4 pixels and normalized."""

    axes: tuple[int, ...]

    def feature_shape(self, image_shape):
        return image_shape[1] // 4, image_shape[2] // 4

    def vjp(self, x):
        n, _, height, width = x.shape
        steps = [np.roll(x[:, 0], -1, axis=1 + axis) - x[:, 0] for axis in self.axes]
        squares = sum(step**2 for step in steps)
        pooled = squares.reshape(n, height // 4, 4, width // 4, 4).sum(axis=(2, 4))
        length = pooled + x.dtype.type(1e-8)

        def pullback(v):
            spread = np.kron(v * 1e-8 / length**2, np.ones((4, 4), x.dtype))
            grads = [2 * step * spread for step in steps]
            pulled = (
                np.roll(g, 1, axis=1 + axis) - g for g, axis in zip(grads, self.axes, strict=True)
            )
            return sum(pulled)[:, None]

        return pooled / length, pullback


def areas_of(encoder, image):
    return flat_areas.areas(encoder, encoder.encode(image[None, None])[0], (1, *image.shape))


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_areas_are_flat_in_the_image_encoded(encoder):
    found = areas_of(encoder, SQUARE)
    for number in range(1, int(found.flat.max()) + 1):
        assert np.ptp(SQUARE[found.flat == number]) == 0
    assert np.mean(found.flat > 0) > 0.3
    assert set(np.unique(SQUARE[found.flat == 1])) == {0.0}


@pytest.mark.parametrize("name", ["bilinear", "dense SIFT", "natural", "kornia"])
def test_what_is_joined_is_alike_in_the_image_encoded(name):
    joined = areas_of(ENCODERS[name], SQUARE).joined
    _, first = np.unique(joined, return_index=True)
    level = SQUARE.ravel()[first][np.searchsorted(np.unique(joined), joined)]
    assert np.array_equal(level[joined > 0], SQUARE[joined > 0])
    assert np.mean(joined > 0) > 0.8


@pytest.mark.parametrize("name", ["dense SIFT", "kornia"])
def test_dense_descriptors_tell_areas_up_to_their_edges(name):
    flat = areas_of(ENCODERS[name], SQUARE).flat
    assert flat[30, 30] == 2
    assert np.mean(flat[22:42, 18:46] == 2) > 0.8


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_photographs_and_ramps_have_no_flat_areas(encoder):
    assert areas_of(encoder, PHOTOGRAPH) is None
    ramp = np.linspace(0, 1, 64, dtype=np.float32) + np.zeros((64, 1), np.float32)
    found = areas_of(encoder, ramp)
    assert found is None or np.mean(found.flat > 0) < 0.1


def test_an_encoder_of_a_users_own_tells_areas_that_only_silent_features_see():
    encoder = Differences((0, 1))
    found = areas_of(encoder, SQUARE)
    assert np.ptp(SQUARE[found.flat == 1]) == 0
    assert np.mean(found.flat > 0) > 0.5
    assert areas_of(encoder, PHOTOGRAPH) is None


def test_an_encoder_that_is_blind_to_lines_tells_no_areas():
    assert areas_of(Differences((1,)), SQUARE) is None


@pytest.mark.parametrize(
    ("name", "bound"),
    [("skimage", 0.08), ("small blocks", 0.08), ("natural", 0.03), ("kornia", 0.03)],
)
def test_a_square_is_inverted_with_a_small_error(name, bound):
    encoder = ENCODERS[name]
    result = repinv.invert(encoder(SQUARE), encoder, shape=(64, 64))
    assert result.error[0] < bound
    features = encoder.encode(result.image[None, None])[0].astype(float)
    target = encoder.encode(SQUARE[None, None])[0].astype(float)
    true = np.sum((features - target) ** 2) / np.sum(target**2)
    np.testing.assert_allclose(result.error[0], true, rtol=1e-3, atol=1e-8)


def test_the_areas_are_flat_in_the_inversion():
    encoder = ENCODERS["natural"]
    result = repinv.invert(encoder(SQUARE), encoder, shape=(64, 64), max_iter=150)
    joined = areas_of(encoder, SQUARE).joined
    assert np.ptp(result.image[joined == 1]) == 0
    assert abs(result.image[joined == 1][0] - result.image[30, 30]) > 0.1


def test_the_best_attempt_is_returned(monkeypatch):
    encoder = ENCODERS["vlfeat"]
    best = repinv.invert(encoder(SQUARE), encoder, shape=(64, 64), max_iter=40)
    assert "attempts" in " ".join(best.notes)
    assert best.evaluations > 2 * 40
    monkeypatch.setattr(flat_areas, "areas", lambda *_: None)
    plain = repinv.invert(encoder(SQUARE), encoder, shape=(64, 64), max_iter=40)
    assert best.error[0] <= plain.error[0]
    assert plain.evaluations < 2 * 40
    monkeypatch.setattr(retries, "_GOOD", np.inf)
    assert attempted.__module__ == "repinv.search.retries"


def test_a_run_of_a_graphic_is_continued_from_its_file(tmp_path):
    encoder = ENCODERS["small blocks"]
    whole = repinv.invert(encoder(SQUARE), encoder, shape=(64, 64), max_iter=60)
    part = repinv.invert(
        encoder(SQUARE), encoder, shape=(64, 64), max_iter=60, callback=lambda s: s.iteration >= 20
    )
    assert part.iterations < 60
    part.save(tmp_path / "run.npz")
    again = repinv.resume(tmp_path / "run.npz")
    np.testing.assert_array_equal(again.image, whole.image)
    assert again.notes == whole.notes


def test_several_preimages_and_starts_of_a_graphic():
    encoder = ENCODERS["natural"]
    result = repinv.invert(encoder(SQUARE), encoder, shape=(64, 64), n_preimages=2, max_iter=60)
    assert result.images.shape == (2, 64, 64)
    averaged = repinv.invert(encoder(SQUARE), encoder, shape=(64, 64), seeds=2, max_iter=60)
    assert averaged.images.shape == (1, 64, 64)


def test_colour_graphics_are_inverted():
    encoder = repinv.HOG.vlfeat(bilinear_orientations=True)
    colour = np.stack([SQUARE, 0.5 * SQUARE, 0.2 + 0 * SQUARE], axis=-1)
    result = repinv.invert(encoder(colour), encoder, shape=(64, 64, 3), max_iter=100)
    assert result.error[0] < 0.1


def test_a_straight_through_encoder_tells_the_areas_of_the_one_that_is_returned():
    hard = ENCODERS["skimage"]
    encoder = repinv.StraightThrough(hard, hard.softened(0.5))
    np.testing.assert_array_equal(areas_of(encoder, SQUARE).joined, areas_of(hard, SQUARE).joined)


def test_descriptors_that_are_dropped_prove_nothing():
    phow = repinv.DSIFT.phow()
    assert phow.still_pixels(np.ones(phow.feature_shape(SHAPE), bool), SHAPE) is None
    assert dataclasses.replace(phow).flavour.normalization.threshold > 0


def test_a_checkerboard_is_not_taken_for_a_photograph():
    # Few of its pixels lie in wide flat areas, and half of them in lines of equal pixels. Under a
    # steep spectrum, as photographs have it, the error is 12 %.
    rows, columns = np.mgrid[:96, :96]
    image = ((rows // 16 + columns // 16) % 2).astype(np.float32)
    encoder = repinv.HOG.opencv(win_size=(96, 96))
    result = repinv.invert(encoder(image), encoder, shape=image.shape)
    assert result.error[0] < 0.05
