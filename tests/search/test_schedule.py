"""The stages of an inversion: which are taken for which encoder, and what each does."""

import numpy as np
import pytest
from skimage.data import camera
from skimage.transform import downscale_local_mean

import repinv
from repinv import LBFGS, Local, Stage
from repinv.search.problem import WORTHWHILE
from repinv.search.schedules import SMOOTH, stages

IMAGE = downscale_local_mean(camera()[64:320, 128:384], (4, 4)).astype(np.float32) / 255
SOFT = repinv.HOG.vlfeat(bilinear_orientations=True)
HARD = repinv.HOG.vlfeat()
WORDS = np.random.default_rng(0).uniform(0, 0.3, (12, 31)).astype(np.float32)


def test_encoders_without_hard_decisions_take_one_road():
    assert SOFT.annealing == ()
    assert stages(SOFT) == SMOOTH


@pytest.mark.parametrize(
    "encoder",
    [
        HARD,
        repinv.BoVW(SOFT, WORDS, assignment="hard"),
        repinv.BoVW(HARD, WORDS, assignment="hard"),
        repinv.VLAD(SOFT, WORDS),
    ],
    ids=["HOG", "words", "words over hard HOG", "VLAD"],
)
def test_hard_encoders_are_hardened_and_end_the_run_themselves(encoder):
    *legs, last = stages(encoder)
    assert [leg.softness for leg in legs] == sorted((leg.softness for leg in legs), reverse=True)
    assert last.straight_through
    assert encoder.softened(legs[-1].softness) is not None
    assert sum(stage.share for stage in (*legs, last)) == pytest.approx(1.0, abs=0.051)


def test_a_run_that_ends_with_the_encoder_needs_no_straight_through():
    bag = repinv.BoVW(SOFT, WORDS)
    found = stages(bag)
    assert not any(stage.straight_through for stage in found)
    assert (found[-1].softness, found[-1].surrogate_width) == (0.0, 0.0)
    assert bag.softened(found[-2].softness) is None
    assert bag.softened(found[0].softness) is not None


@pytest.mark.parametrize("encoder", [SOFT, HARD], ids=["soft", "hard"])
def test_contrast_comes_second_and_local_changes_after_a_third(encoder):
    found = stages(encoder)
    assert [stage.without for stage in found[:2]] == [("contrast",), ()]
    first = next(i for i, stage in enumerate(found) if stage.sensitivity_radius > 0)
    assert 0.3 <= sum(stage.share for stage in found[:first]) < 0.5


def test_a_stage_does_without_the_priors_that_it_names():
    solver = (Stage(0.5, LBFGS(), without=("contrast",)), Stage(0.5, LBFGS()))
    result = repinv.invert(SOFT(IMAGE), SOFT, shape=IMAGE.shape, max_iter=40, solver=solver)
    contrast = result.trace["contrast"][:, 0]
    assert not contrast[:20].any()
    assert contrast[20:].all()


def test_images_stay_in_range_while_contrast_is_free():
    # Without a contrast of their own, features ask for ever more of it on some photographs.
    seen = []

    def watch(snapshot):
        image = snapshot.parametrization.image(snapshot.z)
        seen.append(float(np.abs(image - 0.5).max()))

    encoder = repinv.DSIFT.natural(3)
    solver = (Stage(1.0, LBFGS(), without=("contrast",)),)
    features = encoder(IMAGE)
    repinv.invert(features, encoder, shape=IMAGE.shape, max_iter=300, solver=solver, callback=watch)
    assert max(seen) < 1.0


#: Places differ to it: descriptors are normalized one by one.
LOCAL = repinv.DSIFT.natural(3)


def test_later_stages_go_on_with_local_changes():
    spaces = []
    solver = (
        Stage(0.25, LBFGS()),
        Stage(0.25, LBFGS(), sensitivity_radius=3.0),
        Stage(0.25, LBFGS()),
        Stage(0.25, LBFGS(), sensitivity_radius=2.0),
    )
    repinv.invert(
        LOCAL(IMAGE),
        LOCAL,
        shape=IMAGE.shape,
        max_iter=160,
        solver=solver,
        check_every=40,
        callback=lambda snapshot: spaces.append(snapshot.parametrization),
    )
    assert [isinstance(space, Local) for space in spaces] == [False, True, True, True]
    for name in ("around", "weights"):
        values = [getattr(space, name) for space in spaces[1:]]
        np.testing.assert_array_equal(values[0], values[1])
        assert not np.array_equal(values[1], values[2])


def test_stages_too_short_to_learn_curvature_do_not_begin_anew():
    spaces = []
    solver = (Stage(0.5, LBFGS()), Stage(0.5, LBFGS(), sensitivity_radius=3.0))
    for max_iter in (2 * WORTHWHILE - 2, 2 * WORTHWHILE):
        repinv.invert(
            LOCAL(IMAGE),
            LOCAL,
            shape=IMAGE.shape,
            max_iter=max_iter,
            solver=solver,
            check_every=max_iter,
            callback=lambda snapshot: spaces.append(snapshot.parametrization),
        )
    assert [isinstance(space, Local) for space in spaces] == [False, False, False, True]


def test_stages_do_not_begin_anew_where_places_are_alike():
    spaces = []
    noise = np.random.default_rng(0).random(IMAGE.shape).astype(np.float32)
    repinv.invert(
        SOFT(noise),
        SOFT,
        shape=IMAGE.shape,
        max_iter=160,
        solver=(Stage(0.5, LBFGS()), Stage(0.5, LBFGS(), sensitivity_radius=4.0)),
        check_every=80,
        callback=lambda snapshot: spaces.append(snapshot.parametrization),
    )
    assert not any(isinstance(space, Local) for space in spaces)
