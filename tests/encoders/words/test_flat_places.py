"""Flat places that bags of words tell, and inversions that keep them flat."""

import dataclasses

import numpy as np
import pytest
import skimage

import repinv
from repinv.search import flat_areas
from repinv.tasks.batched import invert_each
from repinv.variables.levelled import Levelled

PHOTOGRAPH = skimage.data.camera()[150:246, 180:276].astype(np.float32) / 255
SKY = PHOTOGRAPH.copy()
SKY[:50] = 0.9
BOVW = repinv.BoVW.pretrained(256, grid=(6, 6))
SHAPE = (1, 96, 96)


@pytest.mark.parametrize(
    "options",
    [{}, {"assignment": "hard"}, {"grid": None}, {"interpolate": False}],
    ids=["soft", "hard", "every place", "boxes"],
)
def test_what_is_flat_is_told_and_nothing_else(options):
    bovw = dataclasses.replace(BOVW, **options)
    flat = bovw.flat_places(bovw(SKY), SHAPE)
    assert flat.shape == (96, 96)
    assert flat.mean() > 0.2
    assert not flat[52:].any()
    assert bovw.flat_places(bovw(PHOTOGRAPH), SHAPE) is None


@pytest.mark.parametrize("cells", [1, 2, 3, 4, 12])
def test_cells_of_any_size_take_little_of_the_rest(cells):
    bovw = dataclasses.replace(BOVW, grid=(cells, cells))
    flat = bovw.flat_places(bovw(SKY), SHAPE)
    assert flat is None or (flat[50:].mean() < 0.05 and flat[:50].mean() > 0.5)
    assert flat is not None or cells < 4


def test_a_flat_image_is_flat_all_over():
    assert BOVW.flat_places(BOVW(np.full((96, 96), 0.3)), SHAPE).mean() > 0.95


@pytest.mark.parametrize(
    "options",
    [{"aggregation": "max"}, {"grid": ((1, 1), (2, 2))}, {"power": 0.5}, {"norm": "l2"}],
    ids=["maxima", "pyramid", "power", "norm"],
)
def test_what_does_not_tell_shares_tells_nothing(options):
    bovw = dataclasses.replace(BOVW, **options)
    assert bovw.flat_places(bovw(SKY), SHAPE) is None


def test_local_encoders_that_see_brightness_tell_nothing():
    class Blocks(repinv.Encoder):
        """Means of 8x8 blocks, which are the descriptors."""

        channels, descriptor_axis = 1, 0

        def vjp(self, x):
            mean = x.reshape(len(x), 12, 8, 12, 8).mean(axis=(2, 4))[:, None]
            return mean, lambda v: np.kron(v, np.full((8, 8), 1 / 64, v.dtype))

        def feature_shape(self, image_shape):
            return 1, 12, 12

        def frames(self, image_shape):
            centres = np.arange(12) * 8 + 3.5
            return np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)

    bovw = repinv.BoVW(Blocks(), np.linspace(0, 1, 9)[:, None], grid=(3, 3))
    constant = np.full((1, *SHAPE), 0.5, np.float32)
    assert bovw.flat_places(bovw.encode(constant)[0], SHAPE) is None


def test_descriptors_that_fade_tell_nothing():
    # The word that is nearest to a zero descriptor is that of others, which are short.
    images = skimage.util.view_as_blocks(skimage.data.camera()[:256, :256], (64, 64))
    hog = repinv.HOG.vlfeat(4, bilinear_orientations=True)
    fitted = repinv.BoVW.fit(images.reshape(-1, 64, 64), hog, 48, grid=(16, 16), progress=False)
    half = images[2, 2].copy()
    half[:32] = 200
    assert fitted.flat_places(fitted(half), (1, 64, 64)) is None
    result = repinv.invert(fitted(half), fitted, shape=(64, 64), max_iter=100)
    assert result.error[0] < 0.2


@pytest.fixture(scope="module")
def inverted():
    return repinv.invert(BOVW(SKY), BOVW, shape=(96, 96), max_iter=120)


def test_an_inversion_keeps_flat_places_flat(inverted, monkeypatch):
    flat = BOVW.flat_places(BOVW(SKY), SHAPE)
    assert np.ptp(inverted.image[flat]) == 0
    assert np.ptp(inverted.image) > 0.3
    monkeypatch.setattr(repinv.BoVW, "flat_places", lambda *_: None)
    free = repinv.invert(BOVW(SKY), BOVW, shape=(96, 96), max_iter=120)
    assert np.ptp(free.image[flat]) > 0
    assert inverted.error[0] < 0.5 * free.error[0]


def test_such_a_run_is_continued_from_its_file(inverted, tmp_path):
    part = repinv.invert(
        BOVW(SKY), BOVW, shape=(96, 96), max_iter=120, callback=lambda s: s.iteration >= 60
    )
    part.save(tmp_path / "run.npz")
    np.testing.assert_array_equal(repinv.resume(tmp_path / "run.npz").image, inverted.image)


def test_a_file_with_areas_of_another_size_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    part = repinv.invert(BOVW(SKY), BOVW, shape=(96, 96), max_iter=20, callback=lambda s: True)
    part.save(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {"areas": arrays["areas"][:, :90]})
    with pytest.raises(ValueError, match="areas are not of its image's size"):
        repinv.resume(path)


def test_inversions_of_flat_and_other_images_share_nothing(inverted):
    features = [BOVW(SKY), BOVW(PHOTOGRAPH)]
    found = invert_each([(one, 0) for one in features], BOVW, shape=(96, 96), max_iter=120)
    alone = repinv.invert(features[1], BOVW, shape=(96, 96), max_iter=120)
    np.testing.assert_array_equal(found[0].image, inverted.image)
    np.testing.assert_array_equal(found[1].image, alone.image)


def test_several_starts_are_all_kept_flat():
    flat = BOVW.flat_places(BOVW(SKY), SHAPE)
    found = repinv.invert(BOVW(SKY), BOVW, shape=(96, 96), seeds=2, max_iter=80)
    assert np.ptp(found.image[flat]) == 0


def test_pixels_of_the_user_s_own_are_left_alone():
    flat = BOVW.flat_places(BOVW(SKY), SHAPE)
    found = repinv.invert(
        BOVW(SKY), BOVW, shape=(96, 96), parametrization=repinv.Pixels(), max_iter=5
    )
    assert np.ptp(found.image[flat]) > 0


def test_masked_features_keep_nothing_flat():
    flat = BOVW.flat_places(BOVW(SKY), SHAPE)
    mask = np.ones((6, 6, 1), bool)
    mask[0, 0] = False
    found = repinv.invert(BOVW(SKY), BOVW, shape=(96, 96), mask=mask, max_iter=20)
    assert np.ptp(found.image[flat]) > 0


def test_flat_areas_are_numbered_by_size():
    x = np.zeros((9, 9), bool)
    x[:2], x[4:, :2], x[8, 8] = True, True, True

    class Told(repinv.Encoder):
        def vjp(self, x):
            raise NotImplementedError

        def feature_shape(self, image_shape):
            return (1,)

        def flat_places(self, features, image_shape):
            return x

    areas = flat_areas.numbered(Told(), np.zeros(1), (1, 9, 9))
    assert (areas[0, 0], areas[8, 0], areas[8, 8], areas[3, 3]) == (1, 2, 3, 0)
    assert Levelled(repinv.Pixels(), areas).image(np.ones((1, 1, 9, 9))).shape == (1, 1, 9, 9)
