"""Comparisons: what is measured is what the measures say of the images returned."""

import csv
import io
import json
from dataclasses import dataclass

import numpy as np
import pytest
from photographs import COLOUR, THUMBNAIL

import repinv
from repinv import metrics

PHOTOGRAPH = THUMBNAIL
UNIT = PHOTOGRAPH.astype(np.float32) / 255
HOG = repinv.HOG.vlfeat(bilinear_orientations=True)
SIFT = repinv.DSIFT.natural()
QUICK = {"max_iter": 30}


@dataclass
class Flat:
    """An inverter that answers everything with the same image."""

    encoder: repinv.Encoder = HOG
    level: float = 0.5
    shape: tuple[int, ...] = (64, 64)

    def invert(self, features):
        image = np.full(self.shape, self.level) + np.eye(*self.shape[:2]) / 4
        x = image[None, None].astype(np.float32)
        found = self.encoder.encode(x)
        error = metrics.feature_error(found, np.asarray(features)[None])
        return repinv.Result(image[None], error, found, {}, 1, 1, 0.0, "max_iter")


@dataclass
class Broken(Flat):
    def invert(self, features):
        raise RuntimeError("out of\nluck")


@pytest.fixture(scope="module")
def found():
    methods = [HOG, (SIFT, {"max_iter": 20}), repinv.Method(Flat(), name="flat"), Broken()]
    return repinv.compare(PHOTOGRAPH, methods, **QUICK)


def test_rows_stand_in_the_order_of_the_methods(found):
    assert [row.name for row in found.rows] == ["HOG", "DSIFT", "flat", "Broken"]
    np.testing.assert_allclose(found.image, UNIT, atol=1e-7)


def test_figures_are_those_of_the_images(found):
    for row, encoder in zip(found.rows[:3], [HOG, SIFT, HOG], strict=True):
        target = encoder.encode(UNIT[None, None])
        features = encoder.encode(row.image[None, None].astype(np.float32))
        error = metrics.feature_error(features, target)[0]
        assert row.error == pytest.approx(error, rel=1e-4)
        for name in ("ncc", "ssim", "psnr"):
            assert getattr(row, name) == pytest.approx(getattr(metrics, name)(row.image, UNIT))
        assert row.seconds > 0


def test_an_inversion_is_the_one_that_invert_makes(found):
    alone = repinv.invert(HOG.encode(UNIT[None, None])[0], HOG, shape=(64, 64), **QUICK)
    np.testing.assert_array_equal(found.rows[0].image, alone.image)
    assert found.rows[0].error < found.rows[2].error / 10


def test_the_papers_unit_is_that_of_the_references():
    references = [np.roll(PHOTOGRAPH, 16, 0), PHOTOGRAPH[::-1], PHOTOGRAPH.T]
    row = repinv.compare(PHOTOGRAPH, [HOG], references=references, **QUICK).rows[0]
    targets = np.stack([HOG.encode((r / np.float32(255))[None, None])[0] for r in references])
    features = HOG.encode(row.image[None, None].astype(np.float32))
    expected = metrics.pairwise_error(features, HOG.encode(UNIT[None, None]), targets)[0]
    assert row.pairwise_error == pytest.approx(expected, rel=1e-4)


def test_one_reference_makes_no_unit():
    row = repinv.compare(PHOTOGRAPH, [HOG], references=[PHOTOGRAPH], **QUICK).rows[0]
    assert np.isnan(row.pairwise_error)
    assert row.error > 0


def test_a_yardstick_measures_all_rows_in_the_same_features():
    rows = repinv.compare(PHOTOGRAPH, [HOG, SIFT], yardstick=SIFT, **QUICK).rows
    target = SIFT.encode(UNIT[None, None])
    for row in rows:
        features = SIFT.encode(row.image[None, None].astype(np.float32))
        assert row.error == pytest.approx(metrics.feature_error(features, target)[0], rel=1e-4)
    assert rows[1].error < rows[0].error


def test_a_method_that_fails_says_why_and_harms_no_other(found):
    row = found.rows[3]
    assert (row.image, row.failure) == (None, "out of luck")
    assert np.isnan(row.error)


def test_all_failing_is_an_error():
    with pytest.raises(ValueError, match="none of the methods gave an image"):
        repinv.compare(PHOTOGRAPH, [Broken()])


def test_features_are_inverted_by_all_methods():
    features = HOG(UNIT)
    methods = [HOG, Flat(), SIFT]
    found = repinv.compare(features, methods, shape=(64, 64), **QUICK)
    assert found.image is None
    assert "are not of this encoder" in found.rows[2].failure
    for row in found.rows[:2]:
        held = HOG.encode(row.image[None, None].astype(np.float32))
        error = metrics.feature_error(held, features[None])[0]
        assert row.error == pytest.approx(error, rel=1e-4)
        assert np.isnan([row.ncc, row.ssim, row.psnr]).all()
        assert row.pairwise_error > 0


def test_features_are_told_from_images_by_their_shape_or_by_the_caller():
    features = HOG(UNIT)
    assert repinv.compare(features, [HOG], **QUICK).image is None
    sift = repinv.DSIFT.vlfeat(step=8, size=4, fast=True)
    flat = sift(UNIT)
    assert flat.ndim == 2
    assert repinv.compare(flat, [sift], shape=(64, 64), **QUICK).image is None
    with pytest.raises(ValueError, match="do not tell the size"):
        repinv.compare(flat, [sift], features_given=True, **QUICK)
    with pytest.raises(ValueError, match="an image has its own size"):
        repinv.compare(UNIT, [HOG], shape=(64, 64), features_given=False)


def test_encoders_see_colour_images_in_as_many_channels_as_they_take():
    rows = repinv.compare(COLOUR, [HOG, SIFT], **QUICK).rows
    assert rows[0].image.shape == (64, 64, 3)
    assert rows[1].image.shape == (64, 64)
    assert rows[1].ssim > 0.3


def test_an_image_of_another_size_is_not_compared_and_this_is_said():
    row = repinv.compare(PHOTOGRAPH, [Flat(shape=(66, 66))], **QUICK).rows[0]
    assert np.isnan(row.ncc)
    assert "66x66" in row.notes[0]


def test_the_tables_hold_the_same_figures(found):
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    records = json.loads(found.to_json())
    assert [row["name"] for row in rows] == [record["name"] for record in records]
    for row, record, held in zip(rows, records, found.rows, strict=True):
        for name in ("error", "pairwise_error", "ncc", "ssim", "psnr", "seconds"):
            if held.failure:
                assert (row[name], record[name]) == ("", None)
            else:
                assert float(row[name]) == record[name] == getattr(held, name)
    lines = found.to_markdown().splitlines()
    assert len(lines) == 2 + len(found.rows)
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert "out of luck" in repr(found)


def test_names_that_are_markup_stay_text():
    method = repinv.Method(Flat(), name="a|b <script> \\ *x*")
    line = repinv.compare(PHOTOGRAPH, [method]).to_markdown().splitlines()[2]
    assert line.startswith(r"| a\|b \<script> \\ \*x\* |")


def test_methods_of_one_name_are_numbered():
    rows = repinv.compare(PHOTOGRAPH, [Flat(), Flat(), Flat()]).rows
    assert [row.name for row in rows] == ["Flat", "Flat (2)", "Flat (3)"]


@pytest.mark.parametrize(
    ("methods", "kind", "words"),
    [
        ([], ValueError, "one method or more"),
        ([3], TypeError, "expected an encoder"),
        (["hog.vlfeet"], ValueError, "Did you mean hog.vlfeat"),
        ([(HOG, 3)], TypeError, "pair"),
        ([(HOG, {"max_itre": 3})], TypeError, "has no option max_itre"),
        ([(Flat(), {"seed": 3})], TypeError, "Flat.invert has no option seed"),
    ],
)
def test_what_is_no_method_is_refused_before_anything_runs(methods, kind, words):
    with pytest.raises(kind, match=words):
        repinv.compare(PHOTOGRAPH, methods)


@pytest.mark.parametrize("image", [np.full((64, 64), np.nan), np.full((64, 64), 2.0)])
def test_what_is_no_image_is_refused(image):
    with pytest.raises(ValueError, match="expected"):
        repinv.compare(image, [HOG])


def test_interrupting_keeps_what_there_is(monkeypatch):
    class Interrupted(Flat):
        def invert(self, features):
            result = super().invert(features)
            return repinv.Result(**(vars(result) | {"stop_reason": "interrupted"}))

    rows = repinv.compare(PHOTOGRAPH, [Interrupted(), HOG]).rows
    assert rows[0].image is not None
    assert rows[1].failure == "not run: interrupted"


def test_keypoints_are_those_of_the_photograph():
    found = repinv.compare(PHOTOGRAPH, ["sift.opencv", HOG], **QUICK)
    sift = repinv.SIFT.detect(PHOTOGRAPH)
    assert [row.name for row in found.rows] == ["sift.opencv", "HOG"]
    expected = repinv.compare(PHOTOGRAPH, [sift, HOG], yardstick=sift, **QUICK)
    np.testing.assert_array_equal(found.rows[0].image, expected.rows[0].image)
    again = repinv.compare(PHOTOGRAPH, [sift, HOG], yardstick="sift.opencv", **QUICK)
    assert [row.error for row in again.rows] == [row.error for row in expected.rows]


def test_keypoints_of_features_are_not_detected():
    with pytest.raises(ValueError, match=r"sift.opencv needs keypoints: .* is none"):
        repinv.compare(
            repinv.SIFT.detect(PHOTOGRAPH)(PHOTOGRAPH), ["sift.opencv"], shape=(64, 64), **QUICK
        )
    with pytest.raises(ValueError, match="no option 'sigm'"):
        repinv.Method("sift.opencv(sigm=2)")
    with pytest.raises(TypeError, match="no option max_itr"):
        repinv.Method("sift.opencv", {"max_itr": 2})


def test_flavours_and_settings_tell_rows_apart():
    image = THUMBNAIL

    def names(*encoders):
        return [row.name for row in repinv.compare(image, encoders, max_iter=2).rows]

    hog = repinv.HOG
    assert names(hog.vlfeat(), hog.skimage()) == ["HOG.vlfeat", "HOG.skimage"]
    assert names(hog.vlfeat(), hog.vlfeat(cell_size=4)) == ["HOG, cell_size=8", "HOG, cell_size=4"]
    assert names(hog.vlfeat(), hog.vlfeat()) == ["HOG", "HOG (2)"]
