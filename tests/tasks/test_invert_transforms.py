"""Inversions under random changes of the image: which rule runs, and what the result tells."""

import numpy as np
import pytest
from photographs import CAMERA

import repinv
from repinv.search.schedules import VIEWED

SMALL = np.ascontiguousarray(CAMERA[64:112, 96:144])
BILINEAR = repinv.HOG.vlfeat(bilinear_orientations=True)


def inverted(**options):
    options = {"max_iter": 60} | options
    return repinv.invert(BILINEAR(SMALL), BILINEAR, shape=SMALL.shape, **options)


def test_most_of_a_run_looks_at_views_and_its_end_does_not():
    seen = []
    result = inverted(transforms="robust", max_iter=100, check_every=1, callback=seen.append)
    kinds = [type(snapshot.parametrization).__name__ for snapshot in seen]
    assert kinds == ["RandomView"] * 80 + ["Spectral"] * (len(kinds) - 80)
    assert len(kinds) >= 99
    assert VIEWED in result.notes
    assert "L-BFGS" in VIEWED


def test_a_result_tells_the_error_of_the_image_from_that_of_its_views():
    result, plain = inverted(transforms="robust"), inverted()
    assert plain.view_error is None
    assert result.error[0] < 0.1 < result.view_error[0]
    features = BILINEAR.encode(result.images[:, None])
    target = BILINEAR.encode(SMALL[None, None])
    expected = np.sum((features - target) ** 2) / np.sum(target**2)
    np.testing.assert_allclose(result.error[0], expected, rtol=1e-4)
    assert f"of views {100 * result.view_error[0]:.3g} %" in repr(result)


def test_several_targets_have_view_errors_of_their_own():
    stack = np.stack([BILINEAR(SMALL), BILINEAR(SMALL[::-1].copy())])
    found = repinv.invert(
        stack, BILINEAR, shape=SMALL.shape, transforms="robust", max_iter=30, n_preimages=2
    )
    assert found.view_error.shape == found.error.shape == (4,)


def test_shifts_reach_a_small_error_by_default():
    """By L-BFGS, which compares energies of different shifts, it was at 20 % and more."""
    assert inverted(jitter=2, max_iter=300).error[0] < 0.03


def test_the_same_seed_gives_the_same_views():
    one, again = (inverted(transforms="robust", seed=3, max_iter=30) for _ in range(2))
    np.testing.assert_array_equal(one.image, again.image)
    assert not np.array_equal(one.image, inverted(transforms="robust", seed=4, max_iter=30).image)


def test_transforms_of_ones_own_take_the_parametrization():
    view = repinv.RandomView(rotation=0, scale=(1.0, 1.0), shift=0.0, noise=0.0)
    found = []
    inverted(
        transforms=(repinv.Jitter(amount=1), view),
        parametrization=repinv.Pixels(),
        max_iter=10,
        callback=found.append,
        check_every=1,
    )
    space = found[0].parametrization
    assert isinstance(space, repinv.RandomView)
    assert isinstance(space.base, repinv.Jitter)
    assert space.base.base == repinv.Pixels()


@pytest.mark.parametrize("options", [{"transforms": "robust"}, {"jitter": 2}])
def test_rules_that_need_a_steady_energy_are_refused(options):
    with pytest.raises(ValueError, match=r"LBFGS compares energies .* repinv\.Adam"):
        inverted(solver=repinv.LBFGS(), **options)
    with pytest.raises(ValueError, match="LBFGS compares energies"):
        inverted(solver=(repinv.Stage(1.0, repinv.LBFGS()),), **options)
    stages = (
        repinv.Stage(0.5, repinv.Adam()),
        repinv.Stage(0.5, repinv.LBFGS(), transforms=False),
    )
    assert inverted(solver=stages, **options).iterations == 60


def test_other_transforms_are_refused():
    with pytest.raises(ValueError, match="transforms must be 'robust'"):
        inverted(transforms="strong")
    with pytest.raises(TypeError, match="transforms must be a sequence"):
        inverted(transforms=(repinv.Pixels(),))


def test_an_interrupted_run_under_views_is_continued_to_the_identical_end(tmp_path):
    options = {"transforms": "robust", "max_iter": 50, "check_every": 5}
    whole = inverted(**options)
    part = inverted(**options, callback=lambda snapshot: snapshot.iteration >= 20)
    part.save(tmp_path / "run.npz")
    found = repinv.resume(tmp_path / "run.npz")
    np.testing.assert_array_equal(found.image, whole.image)
    np.testing.assert_allclose(found.view_error, whole.view_error)
