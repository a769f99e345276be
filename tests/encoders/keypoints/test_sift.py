"""SIFT at keypoints: its contract, its pullback, and what it refuses."""

from __future__ import annotations

import builtins
import itertools
import json

import cv2
import numpy as np
import pytest
import skimage.data
from scipy import ndimage

import repinv
from repinv import SIFT
from repinv.testing import check_encoder, check_vjp

SIZE = (50, 60)
RNG = np.random.default_rng(8)


def photograph(height: int, width: int, seed: int = 0) -> np.ndarray:
    """An 8-bit image with structure of several sizes."""
    rng = np.random.default_rng(seed)
    layers = [s * ndimage.gaussian_filter(rng.standard_normal((height, width)), s) for s in (1, 3)]
    image = sum(layers) + 0.3 * np.hypot(*np.mgrid[-9 : 9 : height * 1j, -9 : 9 : width * 1j])
    return np.rint(255 * (image - image.min()) / np.ptp(image)).astype(np.uint8)


IMAGE = photograph(*SIZE)
FOUND = SIFT.detect(IMAGE, contrast_threshold=0.01)
FRAMES = np.stack(
    [
        *(FOUND.keypoints[:, :2].T + 0.5),
        FOUND.keypoints[:, 2] / 2,
        np.radians(FOUND.keypoints[:, 3]),
    ],
    axis=-1,
)
FLAVOURS = {
    "opencv": FOUND,
    "rootsift": SIFT.opencv(FOUND.keypoints, rootsift=True),
    "precise": SIFT.opencv(FOUND.keypoints, enable_precise_upscale=True),
    "not doubled": SIFT.opencv(FOUND.keypoints[FOUND.keypoints[:, 4].astype(int) & 255 < 9]),
    "other layers": SIFT.opencv(FOUND.keypoints, n_octave_layers=4, sigma=1.3),
    "skimage": SIFT.skimage(FOUND.keypoints[:40]),
    "skimage, not doubled": SIFT.skimage(
        FOUND.keypoints[FOUND.keypoints[:, 4].astype(int) & 255 < 9], upsampling=1, rootsift=True
    ),
    "colmap": SIFT.colmap(FRAMES),
    "colmap, not doubled": SIFT.colmap(FRAMES, normalization="l2", first_octave=0),
    "colmap, 0..1": SIFT.colmap(FRAMES, octave_resolution=4, value_range=(0, 1)),
    "0..1": SIFT.opencv(FOUND.keypoints, value_range=(0, 1)),
}
encoders = pytest.mark.parametrize(
    "encoder", [pytest.param(encoder, id=name) for name, encoder in FLAVOURS.items()]
)


def as_cv2(keypoints: np.ndarray) -> list[cv2.KeyPoint]:
    return [cv2.KeyPoint(*map(float, k[:4]), 0.0, int(k[4])) for k in keypoints]


@encoders
def test_contract_is_kept(encoder: SIFT) -> None:
    check_encoder(encoder, (1, *SIZE), gradient=False)


@encoders
def test_pullback_is_the_derivative_without_rounding(encoder: SIFT) -> None:
    check_encoder(encoder.softened(1.0), (1, *SIZE))


@encoders
def test_pullback_of_rounded_features_is_that_of_the_others(encoder: SIFT) -> None:
    x = RNG.random((2, 1, *SIZE))
    features, pullback = encoder.vjp(x)
    others, pullback_of_others = encoder.softened(0.3).vjp(x)
    v = RNG.standard_normal(features.shape)
    np.testing.assert_array_equal(pullback(v), pullback_of_others(v))
    if not encoder.flavour.rootsift or "COLMAP" in type(encoder.flavour).__name__:
        down = np.floor if "Skimage" in type(encoder.flavour).__name__ else np.rint
        np.testing.assert_array_equal(features, down(others))
    assert encoder.softened(0.3).softened(0.3) is None


def test_surrogate_slopes_leave_features_alone() -> None:
    x = RNG.random((1, 1, *SIZE))
    other = FOUND.with_surrogate_slopes(0.2)
    np.testing.assert_array_equal(other.encode(x), FOUND.encode(x))
    v = np.ones((1, len(FOUND.keypoints), 128))
    assert np.abs(other.vjp(x)[1](v) - FOUND.vjp(x)[1](v)).max() > 0


@encoders
@pytest.mark.parametrize("value", [0.0, 0.4])
def test_flat_images_have_zero_descriptors_and_finite_gradients(
    encoder: SIFT, value: float
) -> None:
    features, pullback = encoder.vjp(np.full((1, 1, *SIZE), value))
    # Blurs round, and what is left of it is scaled to full length in neither library.
    assert np.isfinite(features).all()
    assert np.isfinite(pullback(np.ones_like(features))).all()


@pytest.mark.parametrize("options", [{}, {"enable_precise_upscale": True}, {"sigma": 1.2}])
@pytest.mark.parametrize("size", [(50, 60), (97, 131)])
def test_descriptors_are_those_of_opencv(size: tuple[int, int], options: dict[str, float]) -> None:
    image = photograph(*size, seed=3)
    peer = cv2.SIFT_create(contrastThreshold=0.01, **options)
    keypoints, expected = peer.compute(image, peer.detect(image, None))
    got = SIFT.opencv(keypoints, **options)(image)
    difference = np.abs(got - expected)
    assert len(keypoints) > 50
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.005


def test_keypoints_at_the_border_and_of_any_size_are_those_of_opencv() -> None:
    image = photograph(64, 75, seed=5)
    octave = RNG.choice([255, 0, 1, 2], 200) | (RNG.integers(0, 6, 200) << 8)
    keypoints = np.stack(
        [
            RNG.uniform(0, 74, 200),
            RNG.uniform(0, 63, 200),
            RNG.uniform(1, 40, 200),
            RNG.uniform(0, 360, 200),
            octave,
        ],
        axis=-1,
    )
    kept, expected = cv2.SIFT_create().compute(image, as_cv2(keypoints))
    difference = np.abs(SIFT.opencv(kept)(image) - expected)
    # Descriptors of few votes depend on the last digits of their blurs.
    assert len(kept) == 200
    assert (difference > 1).mean() < 0.005


def test_features_follow_the_order_of_keypoints() -> None:
    order = RNG.permutation(len(FOUND.keypoints))
    np.testing.assert_array_equal(SIFT.opencv(FOUND.keypoints[order])(IMAGE), FOUND(IMAGE)[order])


def test_images_in_the_unit_interval_have_the_features_of_8_bits() -> None:
    x = (IMAGE / 255.0)[None, None]
    assert (FOUND.encode(x)[0] != FOUND(IMAGE)).mean() < 0.002


def test_rootsift_is_the_root_of_the_rounded_descriptor_over_its_sum() -> None:
    expected = FOUND(IMAGE)
    expected = np.sqrt(expected / expected.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(FLAVOURS["rootsift"](IMAGE), expected, atol=1e-6)


def test_coverage_says_where_descriptors_look() -> None:
    one = SIFT.opencv(np.array([[20.0, 30.0, 3.0, 40.0, 256]]))
    coverage = one.coverage(SIZE)
    assert coverage.sum() == pytest.approx(1)
    assert coverage.min() >= 0
    peak = np.unravel_index(np.argmax(coverage), SIZE)
    assert np.hypot(peak[0] - 30, peak[1] - 20) <= 1.5
    # No pixel of weight zero has a gradient.
    x = RNG.random((1, 1, *SIZE))
    features, pullback = one.vjp(x)
    grad = pullback(RNG.standard_normal(features.shape))[0, 0]
    reached = ndimage.binary_dilation(coverage > 0, np.ones((5, 5)))
    assert not grad[~reached].any()
    assert FOUND.coverage(SIZE).sum() == pytest.approx(len(FOUND.keypoints))


FORMS = {
    "cv2": as_cv2,
    "array": lambda k: k,
    "list": lambda k: k.tolist(),
    "mapping": lambda k: dict(zip(("x", "y", "size", "angle", "octave"), k.T, strict=True)),
    "structured": lambda k: np.rec.fromarrays(k.T, names="x,y,size,angle,octave"),
    "mappings": lambda k: [
        dict(zip(("x", "y", "size", "angle", "octave"), row, strict=True)) for row in k.tolist()
    ],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_keypoints_are_read_in_all_their_forms(form) -> None:
    keypoints = FOUND.keypoints.astype(np.float32).astype(np.float64)
    assert SIFT.opencv(form(keypoints)) == FOUND


def test_keypoints_are_read_from_files(tmp_path) -> None:
    named = FORMS["mapping"](FOUND.keypoints)
    np.savez(tmp_path / "named.npz", **named)
    np.savez(tmp_path / "rows.npz", keypoints=FOUND.keypoints)
    (tmp_path / "list.json").write_text(json.dumps(FORMS["mappings"](FOUND.keypoints)))
    (tmp_path / "named.json").write_text(json.dumps({k: v.tolist() for k, v in named.items()}))
    for file in tmp_path.iterdir():
        assert SIFT.opencv(file) == FOUND
        assert SIFT.opencv(str(file)) == FOUND


def test_an_encoder_is_written_and_read_again(tmp_path) -> None:
    encoder = FLAVOURS["other layers"]
    encoder.save(tmp_path / "sift.npz")
    loaded = SIFT.load(tmp_path / "sift.npz")
    assert loaded == encoder
    assert hash(loaded) == hash(encoder)
    assert loaded != FOUND


GOOD = [10.0, 12.0, 4.0, 30.0, 256.0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([np.nan, 12, 4, 30, 256], "x of keypoint 1 is nan. Remove it"),
        ([10, 12, 4, np.inf, 256], "angle of keypoint 1 is inf"),
        ([10, 12, -4, 30, 256], "sizes of keypoints must be positive; keypoint 1 has -4"),
        ([10, 12, 0, 30, 256], "must be positive; keypoint 1 has 0"),
        ([10, 12, 4, 30, 0.5], "octaves of keypoints must be whole numbers"),
        ([10, 12, 4, 30, 254], "keypoint 1 lies in octave -2, layer 1"),
        ([10, 12, 4, 30, 6 << 8], "octave 0, layer 6; octaves begin with -1"),
    ],
)
def test_impossible_keypoints_are_refused(row: list[float], message: str) -> None:
    row = [*row[:4], row[4] | 256 if row[4] == 254 else row[4]]
    with pytest.raises(ValueError, match=message):
        SIFT.opencv([GOOD, row])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], ValueError, "there are no keypoints"),
        (np.zeros((4, 3)), ValueError, r"shape \(K, 5\).*got \(4, 3\)"),
        ({"x": [1], "y": [2], "size": [3]}, ValueError, "Add angle and octave"),
        (
            {"x": [1, 2], "y": [2], "size": [3], "angle": [0], "octave": [0]},
            ValueError,
            "as many numbers of each kind",
        ),
        (
            {"x": ["a"], "y": [2], "size": [3], "angle": [0], "octave": [0]},
            TypeError,
            "x of keypoints must be numbers",
        ),
        (object(), TypeError, "keypoints must be a list of cv2.KeyPoint"),
        ("points.txt", ValueError, "read from .npz and .json files"),
    ],
)
def test_what_is_no_keypoints_is_refused(given, error, message: str) -> None:
    with pytest.raises(error, match=message):
        SIFT.opencv(given)


def test_damaged_files_of_keypoints_are_refused(tmp_path) -> None:
    for name in ("broken.npz", "broken.json"):
        (tmp_path / name).write_text("{")
        with pytest.raises(ValueError, match="holds no keypoints, or is damaged"):
            SIFT.opencv(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        SIFT.opencv(tmp_path / "none.npz")


def test_keypoints_outside_of_the_image_are_refused() -> None:
    sift = SIFT.opencv([GOOD, [70.0, 12.0, 4.0, 30.0, 256.0]])
    with pytest.raises(ValueError, match=r"keypoint 1 lies at x = 70, y = 12, outside of an image"):
        sift(IMAGE)


def test_octaves_that_an_image_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="octave 9, which an image of 50x60 pixels does not have"):
        SIFT.opencv([[*GOOD[:4], 9 | 256]])(IMAGE)


def test_more_descriptors_than_keypoints_are_refused() -> None:
    features = FOUND(IMAGE)
    with pytest.raises(ValueError, match=r"\(78, 128\) are not of this encoder.*\(77, 128\)"):
        repinv.invert(np.concatenate([features, features[:1]]), FOUND, shape=SIZE)


def test_colour_is_refused() -> None:
    with pytest.raises(ValueError, match="channels"):
        FOUND(np.zeros((*SIZE, 3)))


def test_detection_without_opencv_says_what_to_install(monkeypatch) -> None:
    true_import = builtins.__import__

    def without(name: str, *args, **kwargs):
        if name == "cv2":
            raise ImportError(name)
        return true_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install opencv-python-headless"):
        SIFT.detect(IMAGE)


def test_detection_takes_floats_and_a_number_of_keypoints() -> None:
    assert SIFT.detect(IMAGE / 255.0, contrast_threshold=0.01) == FOUND
    assert len(SIFT.detect(IMAGE, contrast_threshold=0.01, n_features=9).keypoints) == 9
    with pytest.raises(ValueError, match="OpenCV finds no keypoints"):
        SIFT.detect(np.zeros(SIZE, np.uint8))


def test_glyphs_show_patches_at_keypoints() -> None:
    sift = SIFT.opencv(np.array([[20.0, 30.0, 3.0, 40.0, 256]]))
    features = sift(IMAGE)
    picture = FOUND.glyph(FOUND(IMAGE), shape=SIZE)
    assert picture.shape == (150, 180)
    assert 0 < picture.max() <= FOUND(IMAGE).max()
    assert sift.glyph(features[0]).shape == (52, 52)
    with pytest.raises(ValueError, match="give the size"):
        FOUND.glyph(FOUND(IMAGE))


def test_the_upright_glyph_points_along_the_gradient() -> None:
    ramp = np.tile(np.linspace(0, 1, 64), (64, 1))
    for make, (image, axis) in itertools.product(
        (
            lambda: SIFT.opencv([[32.0, 32.0, 4.0, 0.0, 256.0]]),
            lambda: SIFT.skimage([[32.0, 32.0, 4.0, 0.0, 256.0]]),
            lambda: SIFT.colmap([[32.5, 32.5, 2.0, 0.0]]),
        ),
        ((ramp, 1), (ramp.T, 0)),
    ):
        upright = make()
        star = upright.glyph(upright(image)[0])[13:26, 13:26]
        ray = np.argwhere(star > 0.5 * star.max()) - 6
        assert ray[:, axis].max() == 6
        assert ray[:, axis].min() >= 0


def test_frames_are_the_keypoints_and_words_pool_over_them() -> None:
    np.testing.assert_array_equal(FOUND.frames((1, *SIZE)), FOUND.keypoints[:, [1, 0]])
    words = FOUND(IMAGE)[::8]
    far = SIFT.opencv([[5000.0, 3000.0, 4.0, 30.0, 256.0]])
    assert repinv.BoVW(far, words).local == far
    bag = repinv.BoVW(FOUND, words, grid=(2, 2))
    assert bag(IMAGE).shape == (2, 2, len(words))
    vlad = repinv.VLAD(FOUND.softened(1), words, power=1.0)
    check_vjp(vlad.vjp, RNG.random((1, 1, *SIZE)), step=1e-7)


def test_inversions_recover_what_descriptors_cover() -> None:
    photograph = skimage.data.camera()[::4, ::4]
    sift = SIFT.detect(photograph)
    result = repinv.invert(sift(photograph), sift, shape=photograph.shape, max_iter=150)
    covered = sift.coverage(photograph.shape)
    covered = covered > np.median(covered)
    assert float(result.error[0]) < 2e-3
    assert np.corrcoef(result.image[covered], photograph[covered])[0, 1] > 0.9


def test_pre_images_are_smooth_where_no_keypoint_lies() -> None:
    image = photograph(96, 96, seed=2)
    keypoints = SIFT.detect(image, contrast_threshold=0.01).keypoints
    sift = SIFT.opencv(keypoints[keypoints[:, 0] < 40])
    result = repinv.invert(sift(image), sift, shape=image.shape, max_iter=80)
    down, across = np.gradient(result.image)
    energy = down**2 + across**2
    assert energy[:, 80:].mean() < 0.1 * energy[:, :30].mean()
