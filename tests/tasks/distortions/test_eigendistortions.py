import dataclasses

import numpy as np
import pytest
from photographs import CAMERA, COLOUR

import repinv
from repinv.tasks.distortions.linearization import Linearization, linearized, read_image

#: 24x24, float64, off kinks.
IMAGE = np.random.default_rng(0).uniform(0.1, 0.9, (24, 24))
LOCAL = repinv.DSIFT.vlfeat(step=4, size=2)
HOG = repinv.HOG.vlfeat(bilinear_orientations=True)


def _words():
    descriptors = LOCAL(IMAGE.astype(np.float32)).reshape(-1, 128)
    vocabulary = descriptors[:: max(1, len(descriptors) // 16)][:16].copy()
    return repinv.BoVW(LOCAL, vocabulary, assignment="soft", grid=(2, 2))


ENCODERS = {"HOG": lambda: HOG, "DSIFT": lambda: LOCAL, "words": _words}


@dataclasses.dataclass(frozen=True)
class Matrix(repinv.Encoder):
    """A x, for a matrix A."""

    weights: np.ndarray

    def feature_shape(self, image_shape):
        return (len(self.weights),)

    def vjp(self, x):
        flat = x.reshape(len(x), -1)
        return flat @ self.weights.T, lambda v: (v @ self.weights).reshape(x.shape)

    def jvp(self, x):
        return self.vjp(x)[0], lambda v: v.reshape(len(v), -1) @ self.weights.T


def _singular_values(encoder, image):
    """Squared singular values of the Jacobian by the pullback, all of them, falling."""
    x = image[None, None].astype(np.float64)
    features, pull = encoder.vjp(x)
    unit = np.eye(features.size).reshape(-1, *features.shape)
    rows = np.stack([pull(v).ravel() for v in unit])
    found = np.linalg.svd(rows, compute_uv=False) ** 2
    return np.concatenate([found, np.zeros(max(0, image.size - found.size))])


@pytest.mark.parametrize("method", ["exact", "lanczos", "lobpcg"])
@pytest.mark.parametrize("name", ENCODERS)
def test_eigenvalues_are_those_of_the_dense_decomposition(name, method):
    encoder = ENCODERS[name]()
    expected = _singular_values(encoder, IMAGE)
    found = repinv.eigendistortions(
        encoder, IMAGE, largest=3, smallest=2, method=method, tol=3e-6, max_iter=4000
    )
    apart = np.abs(found.eigenvalues - expected[[0, 1, 2, -1, -2]]) / expected[0]
    assert apart.max() < 1e-6
    assert found.residuals.max() < 1e-4
    flat = found.images.reshape(5, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(5), atol=1e-5)


def test_eigenvectors_change_features_as_their_eigenvalues_say():
    found = repinv.eigendistortions(HOG, IMAGE, largest=1, smallest=1)
    before = HOG(found.image)
    step = 1e-4
    for change, value in zip(found.images, found.eigenvalues, strict=True):
        squared = np.sum((HOG(found.image + step * change) - before) ** 2) / step**2
        assert abs(squared - value) < 1e-2 * found.unit


def test_the_smallest_of_a_matrix_of_full_rank_are_found_after_projections_fail():
    rng = np.random.default_rng(1)
    turned = np.linalg.qr(rng.standard_normal((1089, 1089)))[0]
    values = np.concatenate([[0.1, 0.2], np.linspace(0.5, 1, 1087)])
    encoder = Matrix(turned * values)
    image = np.full((33, 33), 0.5)
    found = repinv.eigendistortions(encoder, image, largest=2, smallest=2, tol=1e-3)
    assert found.method == "lanczos"
    np.testing.assert_allclose(found.eigenvalues, values[[-1, -2, 0, 1]] ** 2, atol=1e-3)


def test_differences_are_adjoint_to_the_pullback():
    for encoder in (HOG, LOCAL, repinv.HOG.skimage(), _words()):
        linear = Linearization(encoder, IMAGE[None, None])
        assert linear.by_differences
        assert linear.disagreement(np.random.default_rng(0)) < 1e-6


def test_differences_keep_off_jumps():
    @dataclasses.dataclass(frozen=True)
    class Jump(repinv.Encoder):
        def feature_shape(self, image_shape):
            return image_shape

        def vjp(self, x):
            return 2 * x + (x > 0.5), lambda v: 2 * v

    x = np.array([[[[0.5, 0.25]]]])
    np.testing.assert_allclose(Linearization(Jump(), x).forward(np.ones(2)), 2, rtol=1e-6)


def test_a_photograph_is_moved_off_kinks_and_that_is_said():
    image = COLOUR[..., 0]
    x = read_image(image, HOG)
    assert Linearization(HOG, x).disagreement(np.random.default_rng(0)) > 1e-2
    linear, notes = linearized(HOG, x, np.random.default_rng(0))
    assert linear.disagreement(np.random.default_rng(0)) < 1e-5
    assert any("kinks" in note for note in notes)
    assert np.abs(linear.image - x[0]).max() <= 1 / 512
    assert linear.image.min() >= 0
    assert linear.image.max() <= 1


def test_the_ten_largest_of_hog_take_few_products():
    found = repinv.eigendistortions(HOG, CAMERA[100:356, 150:406], largest=10, smallest=0)
    assert found.pullbacks <= 150
    assert found.residuals.max() < 1e-5


def test_a_seed_gives_the_same_directions():
    options = {"largest": 1, "smallest": 1, "method": "lanczos", "max_iter": 100}
    one, same, other = (
        repinv.eigendistortions(HOG, CAMERA[:40, :40], seed=seed, **options) for seed in (0, 0, 1)
    )
    assert np.array_equal(one.images, same.images)
    assert not np.allclose(one.smallest, other.smallest, atol=1e-3)


def test_colour_images_have_colour_changes():
    encoder = repinv.HOG.skimage(channel_axis=-1)
    found = repinv.eigendistortions(encoder, COLOUR[20:44, 20:44], largest=1, smallest=2)
    assert found.images.shape == (3, 24, 24, 3)
    assert found.largest.shape == (1, 24, 24, 3)
    assert found.smallest.shape == (2, 24, 24, 3)


def test_they_are_saved_and_read_again(tmp_path):
    found = repinv.eigendistortions(HOG, IMAGE)
    found.save(tmp_path / "found.npz")
    again = repinv.Distortions.load(tmp_path / "found.npz")
    assert repr(again) == repr(found)
    assert np.array_equal(again.images, found.images)
    with pytest.raises(ValueError, match="is not a run"):
        repinv.resume(tmp_path / "found.npz")


def test_they_are_drawn():
    found = repinv.eigendistortions(HOG, IMAGE, largest=2, smallest=2)
    figure = found.plot()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0] == "image"
    assert titles[1].startswith("noticed most, 1")
    assert titles[4].startswith("noticed least, 2")
    with pytest.raises(ValueError, match="expected 5 axes"):
        found.plot(axes=figure.axes[:2])


def test_hard_assignments_are_said():
    found = repinv.eigendistortions(repinv.HOG.vlfeat(), IMAGE)
    assert any("smooth part" in note for note in found.notes)


def test_a_blind_encoder_is_refused():
    blind = Matrix(np.zeros((3, 576)))
    for method in ("exact", "lanczos", "lobpcg"):
        with pytest.raises(ValueError, match="do not change with this image"):
            repinv.eigendistortions(blind, IMAGE, method=method)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"largest": 500, "smallest": 77}, "has 576 eigenvectors"),
        ({"largest": -1}, "largest must be a whole number >= 0"),
        ({"largest": 0, "smallest": 0}, "at least one"),
        ({"method": "power"}, "method must be one of"),
        ({"tol": 0}, "tol must lie between"),
        ({"max_iter": 0}, "max_iter must be"),
    ],
)
def test_impossible_options_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        repinv.eigendistortions(HOG, IMAGE, **options)


def test_an_image_that_the_encoder_refuses_is_refused():
    with pytest.raises(ValueError, match="HOG needs at least"):
        repinv.eigendistortions(repinv.HOG.skimage(), IMAGE[:8, :8])
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        repinv.eigendistortions(HOG, 255 * IMAGE)


def test_a_jacobian_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match='too many for method="exact"'):
        repinv.eigendistortions(LOCAL, CAMERA, method="exact")
