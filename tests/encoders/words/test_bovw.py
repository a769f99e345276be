"""Bags of visual words: against loops in plain NumPy, and their pullbacks."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest
from scipy.special import softmax

import repinv
from repinv import LLC, HardAssignment, SoftAssignment
from repinv.encoders._parts import local_descriptors
from repinv.testing import check_encoder, check_vjp

RNG = np.random.default_rng(3)
SMOOTH = repinv.HOG.vlfeat(4, bilinear_orientations=True)
DPM = repinv.HOG.dpm(4)
WORDS = RNG.uniform(0, 0.4, (12, 31))
IMAGES = RNG.uniform(0.05, 0.95, (2, 1, 24, 30))

ASSIGNMENTS = {
    "hard": HardAssignment(),
    "soft": SoftAssignment(),
    "warm": SoftAssignment(0.2),
    "soft over three": SoftAssignment(0.2, neighbours=3),
    "LLC": LLC(),
    "LLC of more words than there are": LLC(neighbours=50, regularization=1e-2),
}
VARIANTS = {
    "hard": {"assignment": "hard"},
    "soft": {},
    "soft over four": {"assignment": SoftAssignment(0.1, 4)},
    "LLC": {"assignment": "llc", "grid": (2, 2)},
    "pyramid": {"grid": ((1, 1), (2, 2), (4, 4))},
    "boxes": {"grid": (3, 2), "interpolate": False},
    "maxima": {"grid": ((1, 1), (2, 2)), "aggregation": "max"},
    "maxima of LLC": {"assignment": "llc", "aggregation": "max"},
    "map": {"grid": None, "norm": "l2"},
    "root": {"power": 0.5, "norm": "l2", "assignment": SoftAssignment(0.2)},
    "l1": {"assignment": "llc", "norm": "l1"},
    "more cells than descriptors": {"grid": (9, 11)},
}


def codes_of(x, words, assignment):
    """Assignments (F, K), one descriptor at a time, as the papers have them."""
    codes = np.zeros((len(x), len(words)))
    for f, one in enumerate(x):
        distance = ((one - words) ** 2).sum(1)
        order = np.argsort(distance, kind="stable")
        if isinstance(assignment, HardAssignment):
            codes[f, order[0]] = 1
        elif isinstance(assignment, SoftAssignment):
            kept = order[: assignment.neighbours]
            codes[f, kept] = softmax(-distance[kept] / assignment.temperature)
        else:
            kept = order[: assignment.neighbours]
            z = words[kept] - one
            covariance = z @ z.T
            ridge = assignment.regularization * np.trace(covariance)
            w = np.linalg.solve(covariance + ridge * np.eye(len(kept)), np.ones(len(kept)))
            codes[f, kept] = w / w.sum()
    return codes


def triangle(position, size, cells, cell):
    """Weight of a position in a cell: linear between centres, whole beyond the last one."""
    at = np.clip((position + 0.5) * cells / size - 0.5, 0, cells - 1)
    return max(0.0, 1 - abs(at - cell))


def box(position, size, cells, cell):
    """Whether a position lies in a cell; those of cells that hang over the edge, in the last."""
    return float(min(int((position + 0.5) * cells / size), cells - 1) == cell)


def pooled(codes, frames, size, grid, weigh=triangle, largest=False):
    """(gy, gx, K), cell by cell."""
    found = np.zeros((*grid, codes.shape[1]))
    for a in range(grid[0]):
        for b in range(grid[1]):
            w = np.array(
                [weigh(y, size[0], grid[0], a) * weigh(x, size[1], grid[1], b) for y, x in frames]
            )
            if largest and w.any():
                found[a, b] = codes[w > 0].max(axis=0)
            elif w.any():
                found[a, b] = w @ codes / w.sum()
    return found


def rows(local, image):
    features = local.encode(image[None])[0]
    return np.moveaxis(features, local.descriptor_axis, -1).reshape(-1, 31 + (local is DPM))


@pytest.mark.parametrize("assignment", ASSIGNMENTS.values(), ids=ASSIGNMENTS)
def test_assignments_are_those_of_the_papers(assignment):
    x = rows(SMOOTH, IMAGES[0])
    bovw = repinv.BoVW(SMOOTH, WORDS, assignment=assignment, grid=None)
    expected = codes_of(x, WORDS, assignment)
    np.testing.assert_allclose(bovw.encode(IMAGES)[0], expected, rtol=1e-6, atol=1e-9)
    assert bovw.encode(IMAGES).shape == (2, *bovw.feature_shape(IMAGES.shape[1:]))
    single = bovw.encode(IMAGES.astype(np.float32))[0]
    np.testing.assert_allclose(single, expected, atol=2e-4)


@pytest.mark.parametrize("local", [SMOOTH, DPM], ids=["axis 0", "axis 2"])
@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (4, 4)])
def test_a_cell_is_the_mean_of_codes_weighted_by_triangles(local, grid):
    words = WORDS if local is SMOOTH else RNG.uniform(0, 0.3, (9, 32))
    codes = codes_of(rows(local, IMAGES[1]), words, SoftAssignment())
    frames = local.frames(IMAGES.shape[1:])
    got = repinv.BoVW(local, words, grid=grid).encode(IMAGES)[1]
    np.testing.assert_allclose(got, pooled(codes, frames, (24, 30), grid), atol=1e-12)
    np.testing.assert_allclose(got.sum(axis=-1), 1)


@pytest.mark.parametrize(
    ("cell_size", "grid"), [(8, (3, 4)), (7, (3, 4)), (12, (2, 2)), (100, (1, 1))]
)
def test_cells_by_size_are_as_many_as_come_nearest_to_it(cell_size, grid):
    by_size = repinv.BoVW(SMOOTH, WORDS, cell_size=cell_size)
    by_number = repinv.BoVW(SMOOTH, WORDS, grid=grid)
    got, expected = by_size.vjp(IMAGES), by_number.vjp(IMAGES)
    np.testing.assert_array_equal(got[0], expected[0])
    np.testing.assert_array_equal(got[1](got[0]), expected[1](got[0]))
    assert by_size.feature_shape(IMAGES.shape[1:]) == (*grid, len(WORDS))
    assert by_size.descriptor_axis is None
    with pytest.raises(ValueError, match="cell_size"):
        repinv.BoVW(SMOOTH, WORDS, cell_size=0)


def test_pyramids_boxes_and_maxima_are_those_of_loops():
    codes = codes_of(rows(SMOOTH, IMAGES[0]), WORDS, SoftAssignment())
    frames, size = SMOOTH.frames(IMAGES.shape[1:]), (24, 30)
    options = {"interpolate": False, "grid": ((1, 1), (2, 2), (3, 2))}
    mean = repinv.BoVW(SMOOTH, WORDS, **options).encode(IMAGES)[0]
    largest = repinv.BoVW(SMOOTH, WORDS, aggregation="max", **options).encode(IMAGES)[0]
    for got, kind in ((mean, False), (largest, True)):
        expected = [pooled(codes, frames, size, grid, box, kind) for grid in options["grid"]]
        np.testing.assert_allclose(got, np.concatenate([e.reshape(-1, 12) for e in expected]))


def test_powers_and_norms_scale_the_code_of_an_image():
    plain = repinv.BoVW(SMOOTH, WORDS, assignment="llc").encode(IMAGES)
    root = np.sign(plain) * np.sqrt(np.abs(plain))
    flat = root.reshape(2, -1)
    for norm, order in (("l1", 1), ("l2", 2)):
        got = repinv.BoVW(SMOOTH, WORDS, assignment="llc", power=0.5, norm=norm).encode(IMAGES)
        expected = flat / np.linalg.norm(flat, ord=order, axis=1, keepdims=True)
        np.testing.assert_allclose(got, expected.reshape(plain.shape))


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_it_keeps_the_contract_of_encoders(options):
    check_encoder(repinv.BoVW(SMOOTH, WORDS, **options), (1, 21, 26))


def test_the_gradient_passes_a_local_encoder_with_descriptors_last():
    check_encoder(repinv.BoVW(DPM, RNG.uniform(0, 0.3, (9, 32))), (3, 21, 26))


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_what_is_computed_again_is_what_was_kept(options, monkeypatch):
    bovw = repinv.BoVW(SMOOTH, WORDS, **options)
    kept, pull_kept = bovw.vjp(IMAGES)
    v = RNG.standard_normal(kept.shape)
    monkeypatch.setattr(local_descriptors, "_KEPT", 0)
    monkeypatch.setattr("repinv.encoders.words.assignment._BLOCK", 20 * 12)
    again, pull_again = bovw.vjp(IMAGES)
    np.testing.assert_allclose(again, kept, atol=1e-12)
    for _ in range(2):
        np.testing.assert_allclose(pull_again(v), pull_kept(v), rtol=1e-7, atol=1e-9)


@dataclasses.dataclass(frozen=True)
class Many(repinv.Encoder):
    """A lattice of unit descriptors that do not depend on the image."""

    side: int
    descriptor_axis = 1

    def vjp(self, x):
        features = np.random.default_rng(0).random((len(x), *self.feature_shape(x.shape[1:])))
        return features.astype(x.dtype), lambda v: np.full_like(x, v.sum())

    def feature_shape(self, image_shape):
        return self.side**2, 128

    def frames(self, image_shape):
        return np.stack(np.mgrid[: self.side, : self.side], axis=-1).reshape(-1, 2).astype(float)


def test_large_images_take_little_more_memory_than_their_descriptors(monkeypatch):
    monkeypatch.setattr(local_descriptors, "_KEPT", 2**20)
    bovw = repinv.BoVW(Many(150), RNG.random((100, 128)), grid=(8, 8))
    x = np.zeros((1, 1, 150, 150), np.float32)
    tracemalloc.start()
    try:
        features, pullback = bovw.vjp(x)
        pullback(features)
        copies = tracemalloc.get_traced_memory()[1] / (150**2 * 128 * 4)
    finally:
        tracemalloc.stop()
    # The local encoder above makes its descriptors in float64: two copies, and then one.
    assert copies < 6


def test_codes_of_descriptors_on_a_word_are_finite():
    flat = np.full((1, 1, 24, 30), 0.5)
    on_words = np.concatenate([np.zeros((4, 31)), WORDS])
    for assignment in ASSIGNMENTS.values():
        features, pullback = repinv.BoVW(SMOOTH, on_words, assignment=assignment).vjp(flat)
        assert np.isfinite(features).all()
        assert np.isfinite(pullback(np.ones_like(features))).all()


def test_maps_of_words_are_local_descriptors_themselves():
    words = repinv.BoVW(SMOOTH, WORDS, grid=None)
    assert words.descriptor_axis == 1
    np.testing.assert_array_equal(words.frames((1, 24, 30)), SMOOTH.frames((1, 24, 30)))
    upper = repinv.BoVW(words, RNG.uniform(0, 0.3, (5, 12)), grid=(2, 2))
    check_vjp(upper.vjp, IMAGES, step=1e-7)
    with pytest.raises(TypeError, match="local descriptors"):
        upper.frames((1, 24, 30))


def test_a_call_hands_pixels_to_the_local_encoder_as_they_are():
    local = repinv.HOG.vlfeat(4, bilinear_orientations=True, value_range=(0, 255))
    bovw = repinv.BoVW(local, WORDS)
    assert bovw.value_range == (0, 255)
    image = RNG.integers(0, 256, (24, 30), dtype=np.uint8)
    x = (image / 255)[None, None]
    np.testing.assert_allclose(bovw(image), bovw.encode(x)[0], atol=1e-4)
    again = repinv.BoVW(SMOOTH, WORDS)(image)
    np.testing.assert_array_equal(bovw(image), again)
    assert bovw(image).dtype == np.float32
    assert repinv.BoVW(DPM, RNG.random((4, 32)))(image).dtype == np.float64


def test_hard_decisions_are_softened_and_smooth_ones_are_not():
    hard = repinv.BoVW(repinv.HOG.vlfeat(4), WORDS, assignment="hard")
    soft = hard.softened(0.3)
    assert soft.assignment == SoftAssignment(0.3 * 0.5)
    assert soft.local == hard.local.softened(0.3)
    assert repinv.BoVW(SMOOTH, WORDS, assignment="hard").softened(0.3).local == SMOOTH
    default = repinv.BoVW(SMOOTH, WORDS)
    assert default.softened(1.0).assignment == SoftAssignment(0.5)
    assert default.softened(0.04) is None
    assert repinv.BoVW(SMOOTH, WORDS, assignment=SoftAssignment(0.5)).softened(1.0) is None
    local = repinv.BoVW(SMOOTH, WORDS, assignment="llc")
    assert local.softened(0.5).assignment == LLC(5, 0.05)
    assert local.softened(5e-4) is None
    wide = repinv.BoVW(SMOOTH, WORDS, assignment="hard", warm=2.0)
    assert wide.softened(0.5).assignment.temperature == 1
    for wrong in (0, 1.1, -1, np.nan):
        with pytest.raises(ValueError, match="softness"):
            default.softened(wrong)
