"""Bags of visual words: against loops in plain NumPy, their pullbacks, files, and recovery."""

from __future__ import annotations

import dataclasses
import io
import pickle
import tracemalloc

import numpy as np
import pytest
import skimage
from scipy.special import softmax

import repinv
from repinv import LLC, HardAssignment, SoftAssignment
from repinv.encoders import _local
from repinv.metrics import ncc
from repinv.testing import check_encoder, check_vjp

RNG = np.random.default_rng(3)
SMOOTH = repinv.HOG.vlfeat(4, bilinear_orientations=True)
DPM = repinv.HOG.dpm(4)
WORDS = RNG.uniform(0, 0.4, (12, 31))
IMAGES = RNG.uniform(0.05, 0.95, (2, 1, 24, 30))
CAMERA = (skimage.data.camera() / 255).astype(np.float32)
PHOTOGRAPHS = [CAMERA[y : y + 128, x : x + 128] for y in (0, 150, 300) for x in (0, 130, 260, 384)]
#: 64x64
PHOTOGRAPH = CAMERA[64:192:2, 200:328:2]

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
    monkeypatch.setattr(_local, "_KEPT", 0)
    monkeypatch.setattr("repinv.encoders._assignment._BLOCK", 20 * 12)
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
    monkeypatch.setattr(_local, "_KEPT", 2**20)
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
    assert soft.assignment == SoftAssignment(0.3 * 0.1)
    assert soft.local == hard.local.softened(0.3)
    assert repinv.BoVW(SMOOTH, WORDS, assignment="hard").softened(0.3).local == SMOOTH
    default = repinv.BoVW(SMOOTH, WORDS)
    assert default.softened(1.0).assignment == SoftAssignment(0.1)
    assert default.softened(0.1) is None
    assert repinv.BoVW(SMOOTH, WORDS, assignment=SoftAssignment(0.1)).softened(1.0) is None
    local = repinv.BoVW(SMOOTH, WORDS, assignment="llc")
    assert local.softened(0.5).assignment == LLC(5, 0.05)
    assert local.softened(5e-4) is None
    wide = repinv.BoVW(SMOOTH, WORDS, assignment="hard", warm=2.0)
    assert wide.softened(0.5).assignment.temperature == 1
    for wrong in (0, 1.1, -1, np.nan):
        with pytest.raises(ValueError, match="softness"):
            default.softened(wrong)


def test_vocabularies_are_private_copies_that_cannot_be_written_to():
    given = WORDS.copy()
    bovw = repinv.BoVW(SMOOTH, given)
    given[:] = 0
    np.testing.assert_array_equal(bovw.vocabulary, WORDS)
    with pytest.raises(ValueError, match="read-only"):
        bovw.vocabulary[0, 0] = 1
    assert repinv.BoVW(SMOOTH, WORDS.tolist()).vocabulary.dtype == np.float64
    assert repinv.BoVW(SMOOTH, WORDS.astype(np.float16)).vocabulary.dtype == np.float32


def test_encoders_are_equal_if_their_contents_are():
    one, other = repinv.BoVW(SMOOTH, WORDS), repinv.BoVW(SMOOTH, WORDS.copy(), grid=[4, 4])
    assert one == other
    assert hash(one) == hash(other)
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301
    for options in ({"grid": (4, 3)}, {"vocabulary": WORDS + 1}, {"assignment": "hard"}):
        assert one != dataclasses.replace(one, **options)
    assert one != repinv.VLAD(SMOOTH, WORDS)
    assert one != dataclasses.replace(one, vocabulary=WORDS.astype(np.float32))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"assignment": "softer"}, "assignment must be 'hard'"),
        ({"assignment": HardAssignment}, "assignment must be"),
        ({"aggregation": "mean"}, "aggregation must be one of 'sum', 'max'"),
        ({"grid": (0, 1)}, r"grid\[0\] must be a whole number"),
        ({"grid": 4}, "grid must be a pair"),
        ({"grid": ((1, 1), (2,))}, r"grid\[1\] must be a pair"),
        ({"grid": ()}, "grid must be a pair"),
        ({"power": 0}, "power must be"),
        ({"power": 2}, "power must lie in"),
        ({"norm": "l3"}, "norm must be"),
        ({"warm": 0}, "warm must be"),
        ({"interpolate": 3}, "interpolate must be"),
        ({"vocabulary": WORDS[0]}, r"shape \(words, numbers of a descriptor\); got \(31,\)"),
        ({"vocabulary": WORDS[:0]}, "shape"),
        ({"vocabulary": np.where(WORDS > 0.3, np.nan, WORDS)}, "vocabulary must be finite"),
        ({"vocabulary": WORDS[:, :30]}, "30 numbers each; the local encoder's descriptors have 31"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        repinv.BoVW(**{"local": SMOOTH, "vocabulary": WORDS, **options})


def test_only_encoders_of_local_descriptors_are_taken():
    for local in (repinv.HOG.skimage(), repinv.BoVW(SMOOTH, WORDS), WORDS):
        with pytest.raises(TypeError, match="needs an encoder of local descriptors"):
            repinv.BoVW(local, WORDS)
    with pytest.raises(TypeError, match="real numbers"):
        repinv.BoVW(SMOOTH, WORDS.astype(str))


def test_descriptors_whose_width_hangs_on_the_channels_are_checked_with_the_image():
    colour = repinv.DSIFT.vlfeat(4, 3, channel_axis=0)
    bovw = repinv.BoVW(colour, RNG.uniform(0, 0.1, (5, 384)), grid=(2, 2))
    image = RNG.random((3, 32, 40), dtype=np.float32)
    np.testing.assert_allclose(bovw(image), bovw.encode(image[None])[0], atol=1e-6)
    for use in (bovw.vjp, bovw.encode):
        with pytest.raises(ValueError, match=r"384 numbers each; .* have 128"):
            use(image[None, :1])
    with pytest.raises(ValueError, match=r"384 numbers each; .* have 128"):
        bovw.feature_shape((1, 32, 40))
    check_vjp(bovw.vjp, RNG.random((1, 3, 24, 24)), step=1e-7)


@pytest.mark.parametrize("options", [{"temperature": 0}, {"temperature": "x"}, {"neighbours": 0}])
def test_impossible_assignments_are_refused(options):
    with pytest.raises(ValueError, match="must be"):
        SoftAssignment(**options)
    with pytest.raises(ValueError, match="must be"):
        LLC(neighbours=1.5)
    with pytest.raises(ValueError, match="must be"):
        LLC(regularization=0)


def test_images_without_a_descriptor_are_refused():
    bovw = repinv.BoVW(repinv.HOG.dpm(8), RNG.random((4, 32)))
    with pytest.raises(ValueError, match="needs at least 20x20 pixels; got 16x40"):
        bovw.feature_shape((1, 16, 40))
    with pytest.raises(ValueError, match="needs at least"):
        bovw(np.zeros((16, 40)))
    assert bovw.feature_shape((1, 20, 40)) == (4, 4, 4)
    assert bovw.image_shapes((4, 4, 4)) is None


@pytest.fixture(scope="module")
def fitted():
    """A small vocabulary of photographs."""
    return repinv.BoVW.fit(iter(PHOTOGRAPHS), SMOOTH, 48, seed=1, progress=False)


def test_fitting_finds_words_nearer_than_chance(fitted):
    assert fitted.vocabulary.shape == (48, 31)
    descriptors = np.concatenate(
        [np.moveaxis(SMOOTH(image), 0, -1).reshape(-1, 31) for image in PHOTOGRAPHS]
    )

    def distortion(words):
        squares = ((descriptors[:, None] - words) ** 2).sum(-1)
        return squares.min(axis=1).mean()

    chance = descriptors[np.random.default_rng(0).choice(len(descriptors), 48, replace=False)]
    assert distortion(fitted.vocabulary) < 0.9 * distortion(chance)


def test_fitting_is_repeatable_and_takes_the_options_of_the_constructor(fitted):
    options = {"assignment": "llc", "grid": (2, 2), "power": 0.5, "norm": "l2", "warm": 0.1}
    again = repinv.BoVW.fit(PHOTOGRAPHS, SMOOTH, 48, seed=1, progress=False, **options)
    assert again == repinv.BoVW(SMOOTH, again.vocabulary, **options)
    np.testing.assert_allclose(again.vocabulary, fitted.vocabulary, atol=1e-4)


def test_descriptors_of_flat_places_are_not_learned_from():
    flat = [np.full((64, 64), 0.5, np.float32)] * 3
    with pytest.raises(ValueError, match="at least n_words=4 descriptors that are not zero; got 0"):
        repinv.BoVW.fit(flat, SMOOTH, 4, progress=False)


def test_fewer_descriptors_than_words_are_refused():
    with pytest.raises(ValueError, match=r"n_words=600 descriptors .* got 512"):
        repinv.BoVW.fit([PHOTOGRAPH, PHOTOGRAPH], SMOOTH, 600, progress=False)
    for options in ({"n_words": 0}, {"n_words": 4, "descriptors_per_image": 0}):
        with pytest.raises(ValueError, match="must be a whole number"):
            repinv.BoVW.fit([PHOTOGRAPH], SMOOTH, **options, progress=False)


def test_what_is_saved_is_loaded(fitted, tmp_path):
    path = tmp_path / "words.npz"
    others = [
        fitted,
        repinv.BoVW(DPM, RNG.random((3, 32)), grid=((1, 1), (2, 2)), assignment=LLC(3)),
        repinv.BoVW(SMOOTH, WORDS, grid=None, assignment="hard"),
        repinv.BoVW(repinv.BoVW(SMOOTH, WORDS, grid=None), RNG.random((4, 12))),
    ]
    for bovw in others:
        bovw.save(path)
        assert repinv.BoVW.load(path) == bovw
    assert list(tmp_path.iterdir()) == [path]


def rewritten(path, change):
    """The file with its arrays changed in place."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    change(arrays)
    np.savez(path, **arrays)


def test_damaged_and_foreign_files_are_refused(fitted, tmp_path):
    path = tmp_path / "words.npz"
    fitted.save(path)
    data = path.read_bytes()
    stream = io.BytesIO()
    np.savez(stream, vocabulary=WORDS)
    for content in (b"", data[: len(data) // 2], pickle.dumps(WORDS), stream.getvalue()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="encoder saved by repinv"):
            repinv.BoVW.load(path)
    with pytest.raises(FileNotFoundError):
        repinv.BoVW.load(tmp_path / "nowhere.npz")
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"expected a VLAD in .*; got a BoVW"):
        repinv.VLAD.load(path)
    with pytest.raises(ValueError, match="not a run saved by repinv; it holds: encoder"):
        repinv.resume(path)
    name = "described/0"
    for change, words in (
        (lambda arrays: arrays.update({name: np.nan * arrays[name]}), "finite"),
        (lambda arrays: arrays.update({name: arrays[name][:, :-1]}), "have 30 numbers"),
        (lambda arrays: arrays.update({name: arrays[name].astype("U8")}), "real numbers"),
        (lambda arrays: arrays.pop(name), "missing"),
    ):
        path.write_bytes(data)
        rewritten(path, change)
        with pytest.raises(ValueError, match=words) as caught:
            repinv.BoVW.load(path)
        assert str(path) in str(caught.value)


def test_a_local_encoder_of_the_users_own_cannot_be_saved(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Own(repinv.Encoder):
        descriptor_axis = 1

        def vjp(self, x):
            raise NotImplementedError

        def feature_shape(self, image_shape):
            return 5, 31

    with pytest.raises(TypeError, match="repinv's own"):
        repinv.BoVW(Own(), WORDS).save(tmp_path / "words.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("assignment", "bound"), [("soft", 0.05), ("hard", 0.15), ("llc", 0.5)])
def test_inverting_a_code_recovers_it(fitted, assignment, bound):
    bovw = dataclasses.replace(fitted, assignment=assignment)
    result = repinv.invert(bovw(PHOTOGRAPH), bovw, shape=(64, 64), max_iter=200)
    assert result.error[0] < bound
    # The error is that of the image under the encoder as it is, not as it was softened.
    off = bovw(result.image) - bovw(PHOTOGRAPH)
    error = np.sum(off**2) / np.sum(bovw(PHOTOGRAPH) ** 2)
    np.testing.assert_allclose(result.error[0], error, rtol=1e-3)


def test_a_finer_grid_recovers_the_photograph_better(fitted):
    likeness = []
    for grid in ((2, 2), (16, 16)):
        bovw = dataclasses.replace(fitted, grid=grid)
        found = repinv.invert(bovw(PHOTOGRAPH), bovw, shape=(64, 64), max_iter=200)
        likeness.append(ncc(found.image, PHOTOGRAPH))
    assert likeness[1] > likeness[0] + 0.1


def test_a_run_with_a_vocabulary_is_continued_from_its_file(fitted, tmp_path):
    target, path = fitted(PHOTOGRAPH), tmp_path / "run.npz"
    whole = repinv.invert(target, fitted, shape=(64, 64), max_iter=40)
    part = repinv.invert(target, fitted, shape=(64, 64), max_iter=40, callback=lambda s: True)
    part.save(path)
    np.testing.assert_array_equal(repinv.resume(path).image, whole.image)
