"""HOG: its contract, its pullback, its options, what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import skimage

from repinv import HOG, StraightThrough
from repinv.testing import check_encoder, check_vjp

RNG = np.random.default_rng(7)

FLAVOURS = {
    "vlfeat hard": HOG.vlfeat(),
    "vlfeat bilinear": HOG.vlfeat(bilinear_orientations=True),
    "vlfeat dalal-triggs": HOG.vlfeat(5, "dalal-triggs", 7),
    "vlfeat softened": HOG.vlfeat(6).softened(0.3),
    "vlfeat 0..255": HOG.vlfeat(bilinear_orientations=True, value_range=(0, 255)),
    "dpm": HOG.dpm(6),
    "dpm plain": HOG.dpm(7, normalize=False, truncator=0.3),
    "dpm softened": HOG.dpm(5).softened(0.5),
    "opencv": HOG.opencv((32, 32)),
    "opencv signed, padded": HOG.opencv(
        (32, 24),
        (16, 8),
        (8, 8),
        (8, 4),
        gamma_correction=False,
        signed_gradient=True,
        win_stride=(8, 8),
        padding=(6, 8),
    ),
}


def skimage_flavours(channel_axis: int | None) -> dict[str, HOG]:
    """Every norm, with and without the square root, and softened."""
    flavours = {
        f"skimage {norm}{' of roots' if root else ''}": HOG.skimage(
            8, (7, 9), (2, 3), norm, root, channel_axis=channel_axis
        )
        for norm in ("L1", "L1-sqrt", "L2", "L2-Hys")
        for root in (False, True)
    }
    flavours["skimage softened"] = HOG.skimage(channel_axis=channel_axis).softened(0.2)
    return flavours


MASKFEAT = {
    "maskfeat": HOG.maskfeat(),
    "maskfeat windowed": HOG.maskfeat(7, 7, 16),
    "maskfeat softened": HOG.maskfeat(pool=5).softened(0.4),
}
ENCODERS = [
    (name, channels, encoder)
    for channels, axis in ((1, None), (3, -1))
    for name, encoder in (FLAVOURS | skimage_flavours(axis)).items()
] + [(name, 3, encoder) for name, encoder in MASKFEAT.items()]
encoders = pytest.mark.parametrize(
    ("channels", "encoder"),
    [
        pytest.param(channels, encoder, id=f"{name}-{channels}")
        for name, channels, encoder in ENCODERS
    ],
)


@encoders
def test_contract_is_kept(channels: int, encoder: HOG) -> None:
    check_encoder(encoder, (channels, 37, 45), gradient=False)


@encoders
def test_pullback_is_the_derivative(channels: int, encoder: HOG) -> None:
    x = np.random.default_rng(1).uniform(0.05, 0.95, (3, channels, 37, 45))
    check_vjp(encoder.vjp, x, step=1e-7, tolerance=1e-6)


@encoders
def test_float32_agrees_with_float64(channels: int, encoder: HOG) -> None:
    x = RNG.uniform(0.05, 0.95, (1, channels, 37, 45)).astype(np.float32)
    features, pullback = encoder.vjp(x)
    expected, expected_pullback = encoder.vjp(x.astype(np.float64))
    v = RNG.standard_normal(expected.shape)
    # A hard orientation may flip by rounding, which moves one vote of one cell.
    wrong = np.abs(features - expected) > 1e-4 * np.abs(expected).max()
    assert wrong.mean() < 0.02
    grad, expected_grad = pullback(v.astype(np.float32)), expected_pullback(v)
    wrong = np.abs(grad - expected_grad) > 1e-3 * np.abs(expected_grad).max()
    assert wrong.mean() < 0.02


def test_softened_tends_to_the_hard_encoder() -> None:
    hard = HOG.vlfeat()
    x = RNG.random((1, 1, 48, 48))
    features = hard.encode(x)
    errors = [np.abs(hard.softened(t).encode(x) - features).max() for t in (1, 0.1, 1e-3, 1e-6)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3


def test_softest_is_bilinear() -> None:
    x = RNG.random((1, 1, 48, 48))
    bilinear = HOG.vlfeat(bilinear_orientations=True)
    np.testing.assert_array_equal(HOG.vlfeat().softened(1).encode(x), bilinear.encode(x))
    assert bilinear.softened(0.5) is None
    assert HOG.opencv().softened(0.5) is None


def test_straight_through_has_hard_features_and_a_soft_pullback() -> None:
    hard = HOG.vlfeat()
    soft = hard.softened(0.1)
    x = RNG.random((2, 1, 40, 40))
    features, pullback = StraightThrough(hard, soft).vjp(x)
    np.testing.assert_array_equal(features, hard.encode(x))
    np.testing.assert_array_equal(pullback(features), soft.vjp(x)[1](features))


@pytest.mark.parametrize("angle", [0.0, 20.0, 45.0, 90.0, 150.0])
@pytest.mark.parametrize(
    "encoder",
    [
        HOG.vlfeat(bilinear_orientations=True),
        HOG.dpm(),
        HOG.skimage(18),
        HOG.opencv((64, 64)),
        HOG.maskfeat(18),
    ],
    ids=["vlfeat", "dpm", "skimage", "opencv", "maskfeat"],
)
def test_glyph_bars_lie_along_the_edge(encoder: HOG, angle: float) -> None:
    y, x = np.mgrid[:64, :64] - 31.5
    a = math.radians(angle)
    # Brightness grows towards `angle`; the edge is orthogonal to it.
    image = 0.5 + 0.4 * (math.cos(a) * x + math.sin(a) * y) / 64
    if encoder.precision is np.float32 and encoder.value_range[1] == 255:
        image = 255 * image
    if encoder.channels == 3:
        image = np.repeat(image[..., None], 3, axis=-1)
    picture = encoder.glyph(encoder(image))
    rows, columns = (size // 21 for size in picture.shape)
    glyph = picture[: 21 * rows, : 21 * columns].reshape(rows, 21, columns, 21)[2, :, 2]
    v, u = np.mgrid[:21, :21] - 10.0
    along_edge = (glyph * (-math.sin(a) * u + math.cos(a) * v) ** 2).sum()
    along_gradient = (glyph * (math.cos(a) * u + math.sin(a) * v) ** 2).sum()
    assert along_edge > 10 * along_gradient


def test_vertical_gradients_between_two_hard_bins_go_to_the_lower_one() -> None:
    ramp = np.repeat(np.linspace(0, 1, 32)[:, None], 32, axis=1)
    inner = HOG.vlfeat()(ramp)[:, 1:-1, 1:-1]
    assert (inner[4] > 0).all()
    assert (inner[5] == 0).all()
    inner = HOG.vlfeat()(ramp[::-1])[:, 1:-1, 1:-1]
    assert (inner[13] > 0).all()
    assert (inner[14] == 0).all()


def test_equal_channels_give_the_first_one_the_gradient() -> None:
    gray = RNG.random((1, 1, 32, 32))
    encoder = HOG.vlfeat(bilinear_orientations=True)
    features, pullback = encoder.vjp(np.repeat(gray, 3, axis=1))
    expected, expected_pullback = encoder.vjp(gray)
    np.testing.assert_array_equal(features, expected)
    grad = pullback(features)
    np.testing.assert_allclose(grad[:, :1], expected_pullback(expected), atol=1e-12)
    assert (grad[:, 1:] == 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_broken_pixels_harm_nothing(value: float) -> None:
    for encoder in (*FLAVOURS.values(), *skimage_flavours(None).values()):
        x = np.full((1, 1, 40, 40), 0.5, np.float32)
        x[0, 0, 20, 20:22] = value
        features, pullback = encoder.vjp(x)
        assert pullback(features).shape == x.shape
        assert np.isnan(features).any()


def test_empty_batch_stays_empty() -> None:
    features, pullback = HOG.vlfeat().vjp(np.zeros((0, 1, 32, 32), np.float32))
    assert features.shape == (0, 31, 4, 4)
    assert pullback(features).shape == (0, 1, 32, 32)


def test_channels_may_come_first_in_a_call() -> None:
    image = RNG.random((40, 40, 3))
    last, first = HOG.skimage(channel_axis=-1), HOG.skimage(channel_axis=0)
    np.testing.assert_array_equal(first(np.moveaxis(image, -1, 0)), last(image))


class Tensor:
    """Looks like torch's, where torch itself need not be installed."""

    __module__ = "torch"
    device = "cuda:0"


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (Tensor(), r"HOG takes NumPy arrays; got torch.Tensor on cuda:0. Use image.numpy"),
        ([[0.0]], r"HOG takes NumPy arrays; got builtins.list"),
        (np.zeros((1, 1, 32, 32), np.complex64), "float32 or float64; got complex64"),
        (np.zeros((1, 1, 32, 32), object), "float32 or float64; got object"),
        (np.zeros((1, 1, 32, 32), np.uint8), "float32 or float64; got uint8"),
    ],
    ids=["torch", "list", "complex", "object", "integer"],
)
def test_other_arrays_are_refused(x: object, message: str) -> None:
    for method in (HOG.vlfeat().vjp, HOG.vlfeat().encode):
        with pytest.raises(TypeError, match=message):
            method(x)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N, C, H, W\); got shape \(32, 32\)"):
        HOG.vlfeat().encode(np.zeros((32, 32)))
    with pytest.raises(ValueError, match="takes 1 channels; got 3"):
        HOG.skimage().encode(np.zeros((1, 3, 32, 32)))
    with pytest.raises(ValueError, match=r"cotangent of shape \(1, 31, 4, 4\)"):
        HOG.vlfeat().vjp(np.zeros((1, 1, 32, 32)))[1](np.zeros((31, 4, 4)))
    with pytest.raises(ValueError, match=r"expected features of this HOG"):
        HOG.vlfeat().glyph(np.zeros((30, 4, 4)))
    with pytest.raises(ValueError, match=r"image shape \(C, H, W\)"):
        HOG.vlfeat().feature_shape((32, 32))


@pytest.mark.parametrize(
    ("encoder", "least"),
    [
        (HOG.skimage(), (24, 24)),
        (HOG.skimage(9, (4, 6), (2, 2)), (8, 12)),
        (HOG.vlfeat(8), (4, 4)),
        (HOG.vlfeat(7), (4, 4)),
        (HOG.dpm(8), (20, 20)),
        (HOG.dpm(5), (13, 13)),
        (HOG.opencv(), (128, 64)),
        (HOG.opencv(padding=(8, 16)), (96, 48)),
    ],
)
def test_smallest_size_is_named_and_works(encoder: HOG, least: tuple[int, int]) -> None:
    height, width = least
    with pytest.raises(ValueError, match=f"at least {height}x{width} pixels; got {height - 1}x"):
        encoder.feature_shape((1, height - 1, width))
    x = RNG.random((1, 1, *least))
    features, pullback = encoder.vjp(x)
    assert features.shape[1:] == encoder.feature_shape((1, *least))
    assert np.isfinite(pullback(features)).all()


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (HOG.vlfeat, {"cell_size": 0}, "cell_size must be a whole number of at least 1; got 0"),
        (HOG.vlfeat, {"cell_size": 8.5}, "cell_size must be a whole number"),
        (HOG.vlfeat, {"num_orientations": True}, "num_orientations must be a whole number"),
        (HOG.vlfeat, {"variant": "fancy"}, "variant must be one of 'uoctti', 'dalal-triggs'"),
        (HOG.vlfeat, {"bilinear_orientations": 2}, "bilinear_orientations must be True or False"),
        (HOG.vlfeat, {"value_range": (1, 1)}, r"value_range\[1\] must be a finite number above 1"),
        (HOG.vlfeat, {"value_range": 255}, "value_range must be a pair"),
        (HOG.skimage, {"block_norm": "l2"}, "block_norm must be one of 'L1', 'L1-sqrt'"),
        (HOG.skimage, {"pixels_per_cell": 8}, "pixels_per_cell must be a pair"),
        (HOG.skimage, {"channel_axis": 5}, "channel_axis must be a whole number from -3 to 2"),
        (HOG.dpm, {"truncator": -1}, "truncator must be a finite number above 0"),
        (HOG.opencv, {"block_size": (12, 16)}, "expected blocks of whole cells"),
        (HOG.opencv, {"win_size": (60, 128)}, "expected blocks of whole cells"),
        (HOG.opencv, {"l2_hys_threshold": math.nan}, "l2_hys_threshold must be a finite number"),
    ],
)
def test_options_out_of_bounds_are_refused(make, options, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        make(**options)


@pytest.mark.parametrize("softness", [0, -1, 1.5, math.nan])
def test_softness_out_of_bounds_is_refused(softness: float) -> None:
    with pytest.raises(ValueError, match="softness must"):
        HOG.vlfeat().softened(softness)


@pytest.mark.parametrize("encoder", [HOG.vlfeat(), HOG.dpm()], ids=["vlfeat", "dpm"])
def test_frames_are_the_centres_of_the_cells(encoder: HOG) -> None:
    frames = encoder.frames((1, 50, 67))
    grid = np.delete(encoder.feature_shape((1, 50, 67)), encoder.descriptor_axis)
    first = 3.5 if encoder.descriptor_axis == 0 else 11.5
    np.testing.assert_array_equal(frames[0], (first, first))
    assert len(frames) == np.prod(grid)
    np.testing.assert_array_equal(frames[grid[1]] - frames[0], (8, 0))


def test_blocks_have_no_frames() -> None:
    encoder = HOG.skimage()
    assert encoder.descriptor_axis is None
    with pytest.raises(TypeError, match="descriptor_axis"):
        encoder.frames((1, 64, 64))


@pytest.mark.parametrize("orientations", [5, 6, 7, 9, 10, 12])
def test_ties_of_8_bit_photographs_go_the_same_way_in_both_precisions(orientations):
    # 45 and 90 degrees lie halfway between two bins for some numbers of them.
    photograph = skimage.data.camera()[100:196, 150:246]
    hog = HOG.vlfeat(8, "dalal-triggs", orientations)
    single, double = (hog(photograph.astype(dtype)) for dtype in (np.float32, np.float64))
    np.testing.assert_allclose(single, double, atol=1e-4)
