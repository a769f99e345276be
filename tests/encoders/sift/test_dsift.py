"""Dense SIFT: its contract, its pullback, its options, what it refuses."""

from __future__ import annotations

import importlib.util
import pathlib
import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

import repinv
from repinv import DSIFT, metrics
from repinv.io import serialization
from repinv.testing import check_encoder, check_vjp

RNG = np.random.default_rng(5)
BENCHMARKS = pathlib.Path(__file__).parents[3] / "benchmarks"

FLAVOURS = {
    "vlfeat": DSIFT.vlfeat(3, 4),
    "vlfeat fast": DSIFT.vlfeat(4, 5, fast=True),
    "vlfeat, cells side by side": DSIFT.vlfeat(4, 4, fast=True, window_size=1.0),
    "vlfeat, other geometry": DSIFT.vlfeat((4, 6), (5, 4), geometry=(2, 3, 9)),
    "vlfeat, bounds": DSIFT.vlfeat(3, 4, bounds=(3, 7, 30, 38)),
    "vlfeat 0..255": DSIFT.vlfeat(4, 4, value_range=(0, 255)),
    "rootsift": DSIFT.vlfeat(4, 4, rootsift=True),
    "threshold": DSIFT.vlfeat(4, 4, contrast_threshold=0.1),
    "phow": DSIFT.phow(5, (3, 5)),
    "kornia": DSIFT.kornia(stride=4),
    "kornia, odd bins": DSIFT.kornia(6, 3, 5, False, 0.15, 3, 0),
    "natural": DSIFT.natural(3),
}
encoders = pytest.mark.parametrize(
    "encoder", [pytest.param(encoder, id=name) for name, encoder in FLAVOURS.items()]
)
SIZE = (37, 44)


@encoders
def test_contract_is_kept(encoder: DSIFT) -> None:
    check_encoder(encoder, (1, *SIZE), gradient=False)


@encoders
def test_pullback_is_the_derivative(encoder: DSIFT) -> None:
    x = np.random.default_rng(1).uniform(0.05, 0.95, (2, 1, *SIZE))
    check_vjp(encoder.vjp, x, step=1e-7, tolerance=1e-6)


@encoders
def test_float32_agrees_with_float64(encoder: DSIFT) -> None:
    x = RNG.uniform(0.05, 0.95, (1, 1, *SIZE)).astype(np.float32)
    features, pullback = encoder.vjp(x)
    expected, expected_pullback = encoder.vjp(x.astype(np.float64))
    np.testing.assert_allclose(features, expected, rtol=0, atol=2e-5)
    v = RNG.standard_normal(expected.shape)
    grad, expected_grad = pullback(v.astype(np.float32)), expected_pullback(v)
    # A vote at the centre of an orientation, or an entry at the clip, may turn by rounding.
    wrong = np.abs(grad - expected_grad) > 1e-3 * np.abs(expected_grad).max()
    assert wrong.mean() < 0.02


@encoders
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_flat_images_have_zero_descriptors_and_finite_gradients(
    encoder: DSIFT, value: float
) -> None:
    features, pullback = encoder.vjp(np.full((1, 1, *SIZE), value))
    assert float(features.max()) <= 1.1e-5  # the root of kornia's epsilon
    assert np.isfinite(pullback(np.ones_like(features))).all()


@encoders
def test_frames_tell_where_descriptors_are(encoder: DSIFT) -> None:
    frames = encoder.frames((1, *SIZE))
    features = np.moveaxis(encoder(np.zeros(SIZE)), encoder.descriptor_axis, -1)
    assert frames.shape == (np.prod(features.shape[:-1]), 2)
    # A faint bump is nearest to the descriptors that see most of it.
    place = np.array([20, 22])
    image = np.zeros(SIZE)
    image[tuple(place)] = 1e-3
    seen = encoder.norms(image)
    assert seen.any()
    assert np.abs(np.average(frames, axis=0, weights=seen) - place).max() <= 2


def test_frames_of_bounds_and_geometry() -> None:
    dsift = DSIFT.vlfeat((6, 4), (4, 5), bounds=(3, 7, 30, 38), geometry=(2, 3, 8))
    frames = dsift.frames((1, 40, 50))
    np.testing.assert_array_equal(frames[0], (3 + 2, 7 + 5))
    assert frames[:, 0].max() + 2 <= 30
    assert frames[:, 1].max() + 5 <= 38
    assert np.unique(np.diff(np.unique(frames[:, 0]))) == 6
    assert np.unique(np.diff(np.unique(frames[:, 1]))) == 4


@pytest.mark.parametrize("shape", [(64, 64), (61, 90)])
def test_natural_is_the_network_of_the_paper(shape: tuple[int, int]) -> None:
    spec = importlib.util.spec_from_file_location("reference", BENCHMARKS / "reference_dsift.py")
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    image = RNG.random(shape)
    features = DSIFT.natural().encode(image[None, None])[0]
    np.testing.assert_allclose(features, reference.natural_dsift(image), rtol=0, atol=1e-12)


@pytest.mark.parametrize("encoder", [DSIFT.natural(4), DSIFT.kornia(stride=5, padding=3)])
def test_image_shapes_are_all_that_give_the_features(encoder: DSIFT) -> None:
    shape = encoder.feature_shape((1, 60, 71))
    (low, high), (left, right) = encoder.image_shapes(shape)
    rows = [n for n in range(30, 100) if encoder.feature_shape((1, n, 71)) == shape]
    columns = [n for n in range(30, 100) if encoder.feature_shape((1, 60, n)) == shape]
    assert (low, high, left, right) == (rows[0], rows[-1], columns[0], columns[-1])
    wrong = tuple(n + (axis == encoder.descriptor_axis) for axis, n in enumerate(shape))
    assert encoder.image_shapes(wrong) is None


def test_frames_of_vlfeat_do_not_tell_the_size() -> None:
    encoder = DSIFT.vlfeat(4, 4)
    assert encoder.image_shapes(encoder.feature_shape((1, 60, 71))) is None


def test_rootsift_is_the_root_of_the_share() -> None:
    image = RNG.random(SIZE)
    plain, root = DSIFT.vlfeat(4, 4)(image), DSIFT.vlfeat(4, 4, rootsift=True)(image)
    np.testing.assert_allclose(root, np.sqrt(plain / plain.sum(1, keepdims=True)), atol=1e-6)


def test_threshold_is_of_the_norm() -> None:
    image = RNG.random(SIZE) * np.linspace(0, 1, SIZE[1])
    plain = DSIFT.vlfeat(4, 4)
    norms = plain.norms(image)
    threshold = float(np.median(norms))
    cut = DSIFT.vlfeat(4, 4, contrast_threshold=threshold)(image)
    faint = norms < threshold
    assert 0.4 < faint.mean() < 0.6
    assert not cut[faint].any()
    np.testing.assert_array_equal(cut[~faint], plain(image)[~faint])


@pytest.mark.parametrize("rootsift", [False, True])
def test_softened_thresholds_grow_with_contrast_and_tend_to_the_hard_one(rootsift: bool) -> None:
    x = np.random.default_rng(1).uniform(0.05, 0.95, (2, 1, *SIZE))
    hard = DSIFT.vlfeat(4, 4, contrast_threshold=0.26, rootsift=rootsift)
    features, plain = hard.encode(x), DSIFT.vlfeat(4, 4, rootsift=rootsift).encode(x)
    softest = hard.softened(1.0)
    check_vjp(softest.vjp, x, step=1e-7, tolerance=1e-6)
    norms = np.stack([hard.norms(image[0]) for image in x])
    weights = np.minimum(0.5 * norms / 0.26, 1)
    np.testing.assert_allclose(softest.encode(x), weights[..., None] * plain, atol=1e-12)
    errors = [np.abs(hard.softened(s).encode(x) - features).max() for s in (1, 0.1, 1e-6)]
    assert errors[0] > errors[1] > 0.01
    assert errors[2] == 0
    assert softest.softened(0.5) is None
    assert DSIFT.vlfeat().softened(0.5) is None


def test_channels_are_described_side_by_side() -> None:
    image = RNG.random((*SIZE, 3))
    joined = DSIFT.vlfeat(4, 4, channel_axis=-1)(image)
    apart = [DSIFT.vlfeat(4, 4)(image[..., c]) for c in range(3)]
    np.testing.assert_array_equal(joined, np.concatenate(apart, axis=1))
    first = DSIFT.vlfeat(4, 4, channel_axis=0)(np.moveaxis(image, -1, 0))
    np.testing.assert_array_equal(first, joined)


def test_pullback_of_channels_is_the_derivative() -> None:
    x = np.random.default_rng(2).uniform(0.05, 0.95, (2, 3, *SIZE))
    check_vjp(DSIFT.vlfeat(4, 4, channel_axis=-1).vjp, x, step=1e-7, tolerance=1e-6)


def test_phow_is_sift_of_smoothed_images() -> None:
    image = RNG.random((50, 60))
    features = DSIFT.phow(3, (4, 6), contrast_threshold=0.0)(image)
    expected = []
    for size, first in ((4, 3), (6, 0)):
        smooth = ndimage.gaussian_filter(image, size / 6, mode="nearest", truncate=4.0 + 1.5)
        bounds = (first, first, 49, 59)
        flat = DSIFT.vlfeat(3, size, fast=True, window_size=1.5, bounds=bounds)
        expected.append(flat(smooth))
    assert features.shape[0] == sum(map(len, expected))
    np.testing.assert_allclose(features, np.concatenate(expected), rtol=0, atol=2e-3)


def test_shift_of_the_image_shifts_the_descriptors() -> None:
    image = RNG.random((60, 60))
    dsift = DSIFT.vlfeat(4, 4, bounds=(8, 8, 40, 40))
    moved = DSIFT.vlfeat(4, 4, bounds=(12, 12, 44, 44))
    np.testing.assert_allclose(moved(np.roll(image, 4, (0, 1))), dsift(image), atol=1e-6)


def test_memory_is_a_few_copies_of_the_descriptors() -> None:
    dsift = DSIFT.vlfeat(4, 5, fast=True)
    x = RNG.random((1, 1, 512, 512)).astype(np.float32)
    features, pullback = dsift.vjp(x)  # compiled, and axes made
    pullback(features)
    tracemalloc.start()
    features, pullback = dsift.vjp(x)
    pullback(features)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 6 * features.nbytes


@pytest.mark.parametrize("encoder", [DSIFT.natural(4), DSIFT.vlfeat(4, 4, fast=True)])
def test_inversion_recovers_the_descriptors(encoder: DSIFT) -> None:
    from skimage.data import camera

    image = camera()[128:384:4, 128:384:4].astype(np.float32) / 255
    features = encoder.encode(image[None, None])[0]
    result = repinv.invert(features, encoder, shape=image.shape, max_iter=400)
    assert result.error[0] < 2e-3
    assert metrics.ncc(result.image, image) > 0.8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DSIFT.vlfeat(0), "step must be a whole number"),
        (lambda: DSIFT.vlfeat(1, (3, 3, 3)), "size must be a pair"),
        (lambda: DSIFT.vlfeat(window_size=0), "window_size must be a finite number above 0"),
        (lambda: DSIFT.vlfeat(geometry=(4, 4)), "geometry must be"),
        (lambda: DSIFT.vlfeat(bounds=(0, 0, 10)), "bounds must be"),
        (lambda: DSIFT.vlfeat(1, 4, bounds=(0, 0, 8, 30)), "hold no descriptor"),
        (lambda: DSIFT.vlfeat(fast="yes"), "fast must be True or False"),
        (lambda: DSIFT.vlfeat(contrast_threshold=np.nan), "contrast_threshold must be a finite"),
        (lambda: DSIFT.phow(sizes=()), "sizes must be some whole numbers"),
        (lambda: DSIFT.natural(0), "bin_size must be a whole number"),
        (lambda: DSIFT.kornia(padding=-1), "padding must be a whole number"),
        (lambda: DSIFT.kornia(clipval=0), "clipval must be a finite number"),
    ],
)
def test_impossible_options_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_images_too_small_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="at least 13x13 pixels; got 12x40"):
        DSIFT.vlfeat(1, 4)(np.zeros((12, 40)))
    with pytest.raises(ValueError, match="at least 31x41 pixels"):
        DSIFT.vlfeat(1, 4, bounds=(0, 0, 30, 40))(np.zeros((30, 64)))
    with pytest.raises(ValueError, match="at least 27x27 pixels"):
        DSIFT.natural()(np.zeros((20, 40)))


def test_channels_are_refused_by_number() -> None:
    with pytest.raises(ValueError, match="takes 1 channels; got 3"):
        DSIFT.natural().feature_shape((3, 64, 64))


def test_tensors_are_refused_by_name() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"got torch.Tensor on cpu.*DSIFTNet"):
        DSIFT.natural().vjp(torch.zeros((1, 1, 64, 64)))


@encoders
def test_encoders_are_described_in_files(encoder: DSIFT) -> None:
    again = serialization.restore(serialization.describe(encoder))
    assert again == encoder
    image = RNG.random(SIZE)
    np.testing.assert_array_equal(again(image), encoder(image))
