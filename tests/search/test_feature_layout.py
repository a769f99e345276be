"""Features as users hold them: layouts, flat, stacks of several images, and what is refused."""

import numpy as np
import pytest
import skimage
import torch
from skimage.feature import hog as skimage_hog

from repinv import DSIFT, HOG, BoVW, Encoder, compare, invert, inverters, metrics
from repinv.search.feature_layout import read
from repinv.tasks.batched import invert_each

CAMERA = (skimage.data.camera()[60:316, 180:436].reshape(64, 4, 64, 4).mean((1, 3)) / 255).astype(
    np.float32
)
COINS = (skimage.data.coins()[:256, :256].reshape(64, 4, 64, 4).mean((1, 3)) / 255).astype(
    np.float32
)
HOGB = HOG.vlfeat(bilinear_orientations=True)
ENCODED = HOGB(CAMERA)


def quick(features, encoder=HOGB, **options):
    return invert(features, encoder, **({"shape": (64, 64), "max_iter": 20} | options))


def test_channels_last_are_recognized_and_told():
    plain, moved = quick(ENCODED), quick(np.moveaxis(ENCODED, 0, -1))
    np.testing.assert_array_equal(moved.image, plain.image)
    assert moved.features.shape == (1, 31, 8, 8)
    assert plain.notes == ()
    (note,) = moved.notes
    assert "(8, 8, 31)" in note
    assert "channels last" in note


def test_channels_last_tell_their_size_too():
    last = np.moveaxis(ENCODED, 0, -1)
    assert invert(last, HOGB, max_iter=3).image.shape == (60, 60)


def test_channels_first_are_recognized_of_an_encoder_that_has_them_last():
    dpm = HOG.dpm()
    features = dpm(CAMERA)
    plain, moved = quick(features, dpm), quick(np.moveaxis(features, -1, 0), dpm)
    np.testing.assert_array_equal(moved.image, plain.image)
    assert any("channels first" in note for note in moved.notes)


def test_descriptors_as_columns_are_recognized():
    dsift = DSIFT.vlfeat(step=8, size=4, fast=True)
    features = dsift(CAMERA)
    np.testing.assert_array_equal(quick(features.T, dsift).image, quick(features, dsift).image)


def square_of_31_cells():
    """A photograph of 31x31 cells, whose features could be in either layout."""
    image = (skimage.data.camera()[:496, :496].reshape(124, 4, 124, 4).mean((1, 3)) / 255).astype(
        np.float32
    )
    hog = HOG.vlfeat(4, bilinear_orientations=True)
    features = hog(image)
    assert features.shape == (31, 31, 31)
    return image, hog, features


def test_what_could_be_both_layouts_is_refused_unless_one_is_named():
    image, hog, features = square_of_31_cells()
    options = {"shape": image.shape, "max_iter": 40}
    words = r"\(31, 31, 31\) could be channels first or channels last.*layout='channels_last'"
    with pytest.raises(ValueError, match=words):
        invert(features, hog, **options)
    first = invert(features, hog, layout="channels_first", **options)
    last = invert(np.moveaxis(features, 0, -1), hog, layout="channels_last", **options)
    np.testing.assert_array_equal(first.image, last.image)
    assert float(first.error[0]) < 0.15
    wrong = invert(np.moveaxis(features, 0, -1), hog, layout="channels_first", **options)
    assert float(wrong.error[0]) > 3 * float(first.error[0])
    assert first.notes == last.notes == ()


def test_a_size_that_is_not_told_may_leave_the_layout_open():
    # 16x31 cells with channels first, or 31x16 cells with channels last.
    features = HOGB(np.zeros((128, 248), np.float32))
    assert features.shape == (31, 16, 31)
    with pytest.raises(ValueError, match=r"\(31, 16, 31\) could be channels first"):
        read(features, HOGB, None)
    assert read(features, HOGB, (128, 248)).size == (1, 128, 248)
    last = read(features, HOGB, None, "channels_last")
    assert last.features.shape == (1, 31, 31, 16)


def test_encoders_of_one_library_keep_their_own_layout():
    class Maps(Encoder):
        descriptor_axis = 0

        def feature_shape(self, image_shape):
            return (8, 8, 8)

        def vjp(self, x):
            raise NotImplementedError

    found = read(np.arange(512.0).reshape(8, 8, 8), Maps(), (8, 8))
    np.testing.assert_array_equal(found.features[0], np.arange(512).reshape(8, 8, 8))


def test_flat_features_are_in_the_layout_that_is_named():
    last = np.moveaxis(ENCODED, 0, -1).ravel()
    named = quick(last, layout="channels_last")
    np.testing.assert_array_equal(named.image, quick(ENCODED).image)


def test_a_mask_is_in_the_layout_of_the_features():
    mask = np.zeros(ENCODED.shape, bool)
    mask[:, :, :4] = True
    moved = quick(np.moveaxis(ENCODED, 0, -1), mask=np.moveaxis(mask, 0, -1))
    np.testing.assert_array_equal(moved.image, quick(ENCODED, mask=mask).image)


@pytest.mark.parametrize(
    ("features", "options", "error", "words"),
    [
        (ENCODED, {"layout": "yxc"}, ValueError, "layout must be 'channels_first'.*got 'yxc'"),
        (ENCODED, {"layout": "channels_last"}, ValueError, r"\(31, 8, 8\).*gives \(31, 8, 8\)"),
        (
            ENCODED[:, :, :7].transpose(1, 0, 2),
            {"shape": (64, 56)},
            ValueError,
            r"\(8, 31, 7\).*features\.transpose\(1, 0, 2\)",
        ),
    ],
)
def test_other_layouts_are_refused_with_what_to_do(features, options, error, words):
    with pytest.raises(error, match=words):
        quick(features, **options)


def test_a_layout_is_refused_where_features_are_no_map():
    hog = HOG.skimage()
    with pytest.raises(ValueError, match="layout goes with maps of channels"):
        quick(hog(CAMERA), hog, layout="channels_last")


def test_the_pair_of_a_visualization_is_refused_in_words():
    pair = skimage_hog(CAMERA, visualize=True)
    with pytest.raises(
        TypeError, match=r"got 2 of different shapes.*visualize=True.*features\[0\]"
    ):
        quick(pair, HOG.skimage())


def test_the_name_of_a_file_is_refused_in_words():
    with pytest.raises(TypeError, match=r"got the name 'f\.npy'. Read it first"):
        quick("f.npy")


@pytest.mark.parametrize(
    "change",
    [
        lambda a: torch.asarray(a).requires_grad_(),
        lambda a: torch.asarray(a).requires_grad_() * 1,
        lambda a: torch.asarray(a).to(torch.float64).requires_grad_(),
        lambda a: a.astype(np.float64),
    ],
    ids=["leaf", "of a graph", "double", "numpy"],
)
def test_tensors_that_require_grad_are_taken(change):
    np.testing.assert_array_equal(quick(change(ENCODED.copy())).image, quick(ENCODED).image)


def test_half_precision_is_taken():
    for dtype in (torch.bfloat16, torch.float16):
        tensor = torch.asarray(ENCODED.copy()).to(dtype)
        expected = quick(tensor.to(torch.float32).numpy()).image
        np.testing.assert_array_equal(quick(tensor).image, expected)


def detector(encoder):
    """Weights and bias of a detector of windows."""
    return np.linspace(-1, 1, encoder.feature_shape((1, 128, 64))[0] + 1).astype(np.float32)


@pytest.mark.parametrize("shape", [None, (128, 64)])
def test_a_detector_with_its_bias_is_told_from_features(shape):
    opencv = HOG.opencv()
    words = r"3781 numbers are 3780 weights and a bias.*vector\[:-1\]"
    for given in (detector(opencv), detector(opencv)[:, None], detector(opencv)[None]):
        with pytest.raises(ValueError, match=words):
            invert(given, opencv, shape=shape)


def test_opencvs_own_detector_is_such_a_one():
    cv2 = pytest.importorskip("cv2")
    from repinv import maximize

    detects = cv2.HOGDescriptor_getDefaultPeopleDetector()
    with pytest.raises(ValueError, match="3781 numbers are 3780 weights and a bias"):
        maximize(HOG.opencv(), detects, shape=(128, 64))
    found = maximize(HOG.opencv(), detects[:-1], shape=(128, 64), max_iter=2)
    assert found.image.shape == (128, 64)


STACK = np.stack([ENCODED, HOGB(COINS), HOGB(CAMERA.T.copy())])


@pytest.mark.parametrize(
    "stack",
    [STACK, STACK.reshape(3, -1), np.moveaxis(STACK, 1, -1), list(STACK), torch.asarray(STACK)],
    ids=["maps", "rows", "channels last", "list", "tensor"],
)
def test_a_stack_is_as_many_problems(stack):
    found = quick(stack, max_iter=30)
    assert found.images.shape == (3, 64, 64)
    assert found.error.shape == (3,)
    assert found.trace["energy"].shape == (30, 3)
    for image, features in zip(found.images, STACK, strict=True):
        np.testing.assert_allclose(image, quick(features, max_iter=30).image, atol=1e-4)


def test_a_stack_of_one_is_one_image():
    np.testing.assert_array_equal(quick(ENCODED[None]).image, quick(ENCODED).image)
    rows = quick(ENCODED.reshape(1, -1))
    np.testing.assert_array_equal(rows.image, quick(ENCODED).image)


def test_rows_of_scikit_images_features_are_inverted():
    hog = HOG.skimage(8)
    rows = np.stack([skimage_hog(image, 8) for image in (CAMERA, COINS)])
    found = invert(rows, hog, shape=(64, 64), max_iter=60)
    assert found.images.shape == (2, 64, 64)
    assert found.error.max() < 0.1


def test_rows_of_windows_tell_their_size():
    opencv = HOG.opencv((64, 64), value_range=(0, 1))
    rows = np.stack([opencv(CAMERA), opencv(COINS)])
    found = invert(rows, opencv, max_iter=20)
    assert found.images.shape == (2, 64, 64)
    # The size is that of the window, and no choice.
    assert not any("smallest" in note for note in found.notes)
    assert any("smallest" in note for note in invert(ENCODED, HOGB, max_iter=2).notes)


def test_notes_of_several_problems_name_their_rows():
    blank = np.zeros_like(ENCODED)
    notes = quick(np.stack([ENCODED, blank, ENCODED, blank]), max_iter=20).notes
    assert [note[:30] for note in notes if "blank" in note] == ["rows 2, 4 of 4: the target is "]
    notes = quick(np.stack([ENCODED, blank]), max_iter=20).notes
    assert any(note.startswith("row 2 of 2: the target is blank") for note in notes)
    notes = quick(np.stack([blank, blank]), max_iter=20).notes
    assert any(note.startswith("the target is blank") for note in notes)


def test_each_row_follows_an_image_of_its_own():
    hog = HOG.skimage()
    photographs = np.stack([CAMERA, 1 - CAMERA])
    rows = np.stack([hog(one) for one in photographs])
    found = invert(rows, hog, shape=(64, 64), max_iter=60, polarity=photographs)
    for image, photograph in zip(found.images, photographs, strict=True):
        assert metrics.ncc(image, photograph) > 0.5
    both = invert(rows, hog, shape=(64, 64), max_iter=60, polarity=CAMERA)
    assert all(metrics.ncc(image, CAMERA) > 0.5 for image in both.images)
    with pytest.raises(ValueError, match="one for each of the 2 rows of features; got 3"):
        invert(rows, hog, shape=(64, 64), polarity=np.stack([CAMERA] * 3))


def test_several_starts_of_rows_without_polarity():
    """The noise that their texture comes from is that of each start."""
    hog = HOG.skimage()
    rows = np.stack([hog(CAMERA), hog(COINS)])
    found = invert(rows, hog, shape=(64, 64), max_iter=20, n_preimages=2)
    alone = invert(rows[1], hog, shape=(64, 64), max_iter=20, n_preimages=2)
    np.testing.assert_allclose(found.images[2:], alone.images, atol=1e-4)


def test_the_images_of_each_problem_stand_together():
    found = quick(STACK[:2], n_preimages=2, max_iter=20)
    assert found.images.shape == (4, 64, 64)
    alone = quick(STACK[1], n_preimages=2, max_iter=20)
    np.testing.assert_allclose(found.images[2:], alone.images, atol=1e-4)


def test_a_stack_with_several_starts_runs_one_after_the_other():
    found = quick(STACK[:2], seeds=2, max_iter=20)
    for k in range(2):
        np.testing.assert_array_equal(found.images[k], quick(STACK[k], seeds=2).image)


def test_a_stack_of_one_size_alone_fits():
    with pytest.raises(ValueError, match=r"\(3, 1983\).*gives \(31, 8, 8\)"):
        quick(STACK.reshape(3, -1)[:, :-1])


def test_a_stack_of_many_ends_in_time():
    many = np.concatenate([STACK] * 2)
    found = quick(many, seeds=2, time_limit=0.2, max_iter=400)
    assert found.images.shape == (6, 64, 64)
    assert found.stop_reason == "time_limit"
    assert found.seconds < 20


def test_inverters_take_stacks_and_layouts_too():
    ridge = inverters.Ridge.pretrained()
    features = np.stack([ridge.encoder(CAMERA), ridge.encoder(COINS)])
    found = ridge.invert(np.moveaxis(features, 1, -1), shape=(64, 64))
    assert found.images.shape == (2, 64, 64)
    for image, one in zip(found.images, features, strict=True):
        np.testing.assert_allclose(image, ridge.invert(one, shape=(64, 64)).image, atol=1e-5)


def test_several_in_lockstep_are_of_one_image_each():
    with pytest.raises(ValueError, match="features of one image each; got those of 3"):
        invert_each([(STACK, 0)], HOGB, shape=(64, 64))


def test_the_starts_image_may_be_of_any_kind():
    bytes_ = (255 * CAMERA).round().astype(np.uint8)
    expected = quick(ENCODED, initial=(bytes_ / 255).astype(np.float32), max_iter=3).image
    for given in (bytes_, torch.asarray(bytes_), bytes_.astype(np.uint16) * 257):
        np.testing.assert_array_equal(quick(ENCODED, initial=given, max_iter=3).image, expected)
    grad = torch.asarray((bytes_ / 255).astype(np.float32)).requires_grad_()
    np.testing.assert_array_equal(quick(ENCODED, initial=grad, max_iter=3).image, expected)


def test_an_encoder_may_be_named_by_its_expression():
    named = quick(ENCODED, "hog.vlfeat(bilinear_orientations=True)")
    np.testing.assert_array_equal(named.image, quick(ENCODED).image)
    with pytest.raises(ValueError, match=r"Did you mean hog\.vlfeat"):
        quick(ENCODED, "hog.vlfeet")
    with pytest.raises(TypeError, match="got the class HOG itself"):
        quick(ENCODED, HOG)
    assert compare(CAMERA, ["hog.vlfeat"], max_iter=3).rows[0].name == "hog.vlfeat"


def test_comparing_takes_the_layouts_and_stacks_that_inverting_takes():
    found = compare(np.moveaxis(ENCODED, 0, -1), [HOGB], shape=(64, 64), max_iter=20)
    result = quick(ENCODED)
    assert found.rows[0].error == pytest.approx(float(result.error[0]), rel=1e-3)
    several = compare(STACK, [HOGB, HOGB], shape=(64, 64), max_iter=5)
    assert [row.name for row in several.rows] == [
        "HOG, image 1",
        "HOG, image 2",
        "HOG, image 3",
        "HOG (2), image 1",
        "HOG (2), image 2",
        "HOG (2), image 3",
    ]
    assert all(row.image.shape == (64, 64) for row in several.rows)


def test_comparing_photographs_leaves_no_layout_open():
    image, hog, _ = square_of_31_cells()
    assert compare(image, [hog], max_iter=3).rows[0].failure == ""


def test_words_without_a_grid_are_maps_too():
    words = BoVW.pretrained(256, cell_size=None)
    features = words(CAMERA)
    np.testing.assert_array_equal(
        read(features.T, words, (64, 64)).features, read(features, words, (64, 64)).features
    )
