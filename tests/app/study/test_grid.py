"""The grid: cells become jobs whose keys are made of their content."""

import dataclasses

import numpy as np
import pytest
from photographs import THUMBNAIL
from PIL import Image

from repinv.app.study import grid, images, parsing
from repinv.app.study.images import Skipped, StudyImage
from repinv.app.study.spec import StudyError

#: As in conftest.py.
TEXT = """
[study]
name = "small"
title = "A small <study>"
description = "To be tested."
seeds = [0, 1]

[images]
files = ["skimage:camera", "skimage:astronaut"]
size = [40, 48]

[encoders]
hog = "hog.vlfeat(bilinear_orientations=True)"
sift = "dsift.natural"

[priors.default]

[priors.tv]
total_variation = { weight = 0.1 }

[solvers.short]
max_iter = 12
"""
CAMERA = StudyImage("camera", "c" * 32, (40, 48))
OTHER = StudyImage("other", "d" * 32, (40, 48))


def _plan(text=TEXT, seen=(CAMERA, OTHER)):
    return grid.plan(parsing.parse(text), seen)


def test_jobs_are_the_product_of_the_axes():
    plan = _plan()
    assert len(plan.jobs) == plan.cells == 16
    labels = {tuple(job.labels().values()) for job in plan.jobs.values()}
    assert len(labels) == 16
    assert ("camera", "sift", "invert", "tv", "short", 1) in labels


def test_keys_are_the_same_in_another_process_and_another_order():
    again = _plan(TEXT, (OTHER, CAMERA))
    assert set(again.jobs) == set(_plan().jobs)


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("seeds = [0, 1]", "seeds = [1, 2]", 8),
        ("weight = 0.1", "weight = 0.2", 8),
        ("max_iter = 12", "max_iter = 13", 0),
        ('"dsift.natural"', '"dsift.natural(bin_size=4)"', 8),
        ('name = "small"', 'name = "large"', 16),
        ("sift = ", "renamed = ", 16),
        ('"dsift.natural"', '"dsift.natural  "', 16),
    ],
)
def test_keys_change_with_what_a_job_computes_and_with_nothing_else(old, new, kept):
    assert old in TEXT
    assert len(set(_plan().jobs) & set(_plan(TEXT.replace(old, new)).jobs)) == kept


def test_keys_change_with_the_pixels_and_the_version(monkeypatch):
    before = set(_plan().jobs)
    changed = dataclasses.replace(CAMERA, digest="e" * 32)
    assert len(before & set(_plan(TEXT, (changed, OTHER)).jobs)) == 8
    monkeypatch.setattr(grid, "RESULTS", "99")
    assert not before & set(_plan().jobs)


def test_equal_cells_are_one_job():
    plan = _plan(TEXT.replace("[priors.tv]\ntotal_variation = { weight = 0.1 }", "[priors.same]"))
    assert (len(plan.jobs), plan.cells) == (8, 16)


def test_tasks_without_image_or_seed_have_one_job_for_all():
    text = TEXT.replace("[priors.default]", "[tasks.c]\nkind = 'caricature'\n[priors.default]")
    assert len(_plan(text).jobs) == 8
    text = TEXT.replace(
        "[priors.default]",
        "[tasks.m]\nkind = 'maximize'\ncomponent = 1\nshape = [32, 32]\n[priors.default]",
    )
    assert len(_plan(text).jobs) == 8


def test_a_grid_without_end_is_refused():
    with pytest.raises(StudyError, match="16000000 cells"):
        _plan(TEXT.replace("seeds = [0, 1]", "seeds = 1000000"), (CAMERA, OTHER, *[CAMERA] * 2))


def test_a_hundred_thousand_cells_take_few_hashes_of_their_tables(monkeypatch):
    """What cells of all images and seeds have in common is hashed once."""
    begun, hashed = [], grid._begun
    monkeypatch.setattr(grid, "_begun", lambda *entries: begun.append(entries) or hashed(*entries))
    assert len(_plan(TEXT.replace("[0, 1]", "12500")).jobs) == 100_000
    assert len(begun) == 4


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ('"dsift.natural"', '"dsift.natrual"', "encoders.sift", "Did you mean dsift.natural"),
        ('"dsift.natural"', '"hog.opencv"', "encoders.sift", "at least 128x64"),
        ('"dsift.natural"', '"hog.vlfeat(cell_size=0)"', "encoders.sift", "cell_size"),
        ("[priors.default]", "[tasks.x]\nfilter_group = '900:901'\n[priors.default]",
         "tasks.x", "channels"),
        ("[priors.default]", "[tasks.x]\nkind = 'maximize'\ncomponent = 900\nshape = [32, 32]\n"
         "[priors.default]", "tasks.x", "component 900"),
        ("[priors.default]", "[tasks.x]\nkind = 'maximize'\ncomponent = 1\nshape = [2, 2]\n"
         "[priors.default]", "tasks.x", "at least"),
        ('"dsift.natural"', '"sift.opencv(sigm=2)"', "encoders.sift", "Did you mean sigma"),
        ('"dsift.natural"', '"sift.colmap"', "encoders.sift", "sift.colmap(frames='FILE.npz')"),
        ('"dsift.natural"\n\n', '"sift.opencv"\n[tasks.x]\nkind = "maximize"\ncomponent = 1\n'
         "shape = [32, 32]\n", "tasks.x", "keypoints of an image, and maximize has none"),
    ],
)  # fmt: skip
def test_what_is_impossible_is_told_before_anything_runs(old, new, key, words):
    study = parsing.parse(TEXT.replace(old, new))
    with pytest.raises(StudyError) as caught:
        grid.check(study, [CAMERA])
    assert all(p.startswith(f"study.toml: {key}: ") for p in caught.value.problems)
    assert words in caught.value.problems[0]


# Images.


def _loaded(tmp_path, files, **options):
    text = f'study.name = "x"\nimages.files = {files!r}\nencoders.hog = "hog.vlfeat"\n'
    text += "".join(f"{key} = {value}\n" for key, value in options.items())
    found = list(images.load(parsing.parse(text, tmp_path / "study.toml")))
    return [f for f in found if not isinstance(f, Skipped)], [
        f for f in found if isinstance(f, Skipped)
    ]


def test_images_are_found_by_name_by_path_and_by_pattern(tmp_path):
    for k, name in enumerate(["b.png", "a.png", "note.txt"]):
        Image.fromarray(np.full((9, 9), 40 * k, np.uint8)).save(tmp_path / name, "PNG")
    found, _ = _loaded(tmp_path, ["skimage:camera", "*.png", str(tmp_path / "note.txt")])
    assert [image.name for image, _ in found] == ["camera", "a.png", "b.png", "note.txt"]
    assert len({image.digest for image, _ in found}) == 4


def test_images_are_brought_to_size_from_their_middle(tmp_path):
    wide = np.zeros((40, 100), np.uint8)
    wide[:, 30:70] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    ((image, pixels),), _ = _loaded(tmp_path, ["wide.png"], **{"images.size": [20, 20]})
    assert image.shape == pixels.shape == (20, 20)
    assert pixels.dtype == np.float32
    assert pixels.min() == 1


def test_colour_is_kept_on_request(tmp_path):
    ((_, gray),), _ = _loaded(tmp_path, ["skimage:astronaut"], **{"images.size": [16, 16]})
    options = {"images.size": [16, 16], "images.color": "true"}
    ((_, colour),), _ = _loaded(tmp_path, ["skimage:astronaut"], **options)
    assert (gray.shape, colour.shape) == ((16, 16), (16, 16, 3))


def test_the_content_of_an_image_is_what_counts(tmp_path):
    camera = THUMBNAIL
    Image.fromarray(camera).save(tmp_path / "one.png")
    Image.fromarray(camera).save(tmp_path / "two.tif")
    found, skipped = _loaded(tmp_path, ["one.png", "two.tif"])
    assert [image.name for image, _ in found] == ["one.png"]
    assert "same pixels" in skipped[0].reason


def test_names_of_files_are_shown_without_control_characters(tmp_path):
    (tmp_path / "sub").mkdir()
    Image.fromarray(THUMBNAIL).save(tmp_path / "sub" / "a\x07b.png")
    ((image, _),), _ = _loaded(tmp_path, ["sub/*.png"])
    assert image.name == "a?b.png"


def test_images_that_cannot_be_read_are_fatal_or_left_out_as_the_file_says(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    (tmp_path / "empty.png").write_bytes(b"")
    files = ["skimage:camera", "bad.png", "empty.png", "skimage:nobody"]
    with pytest.raises(StudyError) as caught:
        _loaded(tmp_path, files)
    assert len(caught.value.problems) == 3
    keys = [problem.split(": ")[1] for problem in caught.value.problems]
    assert keys == ["images.files[1]", "images.files[2]", "images.files[3]"]
    found, skipped = _loaded(tmp_path, files, **{"study.unreadable": "'skip'"})
    assert [image.name for image, _ in found] == ["camera"]
    assert [one.name for one in skipped] == ["bad.png", "empty.png", "nobody"]
    assert all(one.reason for one in skipped)


def test_missing_files_and_empty_patterns_are_fatal(tmp_path):
    with pytest.raises(StudyError) as caught:
        _loaded(tmp_path, ["none.png", "*.gif"], **{"study.unreadable": "'skip'"})
    assert [words in p for words, p in zip(["no image", "no file matches"],
            caught.value.problems, strict=True)] == [True, True]  # fmt: skip


def test_digits_are_images_too(tmp_path):
    ((image, pixels),), _ = _loaded(tmp_path, ["digits:7"])
    assert (image.name, pixels.shape) == ("7", (32, 32))
    with pytest.raises(StudyError, match="expected a digit"):
        _loaded(tmp_path, ["digits:x"])
