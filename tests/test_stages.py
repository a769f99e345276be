"""The stages of an inversion: which are taken for which encoder, and what each does."""

import numpy as np
import pytest
from skimage.data import camera
from skimage.transform import downscale_local_mean

import repinv
from repinv import LBFGS, Local, Stage
from repinv.tasks import SMOOTH, stages

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
    assert bag.softened(found[-1].softness) is None
    assert bag.softened(found[0].softness) is not None


@pytest.mark.parametrize("encoder", [SOFT, HARD], ids=["soft", "hard"])
def test_contrast_comes_second_and_local_changes_in_the_second_half(encoder):
    found = stages(encoder)
    assert [stage.without for stage in found[:2]] == [("contrast",), ()]
    first = next(i for i, stage in enumerate(found) if stage.local > 0)
    assert 0.5 <= sum(stage.share for stage in found[:first]) < 0.75


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


def test_later_stages_go_on_with_local_changes():
    spaces = []
    solver = (
        Stage(0.25, LBFGS()),
        Stage(0.25, LBFGS(), local=3.0),
        Stage(0.25, LBFGS()),
        Stage(0.25, LBFGS(), local=2.0),
    )
    repinv.invert(
        SOFT(IMAGE),
        SOFT,
        shape=IMAGE.shape,
        max_iter=40,
        solver=solver,
        callback=lambda snapshot: spaces.append(snapshot.parametrization),
    )
    kinds = [(isinstance(s, Local), getattr(s, "deviation", None)) for s in spaces]
    assert kinds == [(False, None), (True, 3.0), (True, 3.0), (True, 2.0)]
    np.testing.assert_array_equal(spaces[1].around, spaces[2].around)
    assert not np.array_equal(spaces[2].around, spaces[3].around)
