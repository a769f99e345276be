"""What an encoder is asked before a run: how even its view is, and how faint a start must be."""

import numpy as np
import pytest
import skimage
from skimage.color import rgb2gray
from skimage.transform import resize

import repinv
from repinv.search import initialization, probing
from repinv.variables.dct import dct, idct

ONE = initialization.noise(0, 1, (1, 32, 32))


class Linear(repinv.Encoder):
    """Features that are a matrix times the pixels."""

    channels = 1

    def __init__(self, matrix):
        self.matrix = matrix

    def vjp(self, x):
        matrix = self.matrix.astype(x.dtype)
        return x.reshape(len(x), -1) @ matrix.T, lambda v: (v @ matrix).reshape(x.shape)

    def feature_shape(self, image_shape):
        return (len(self.matrix),)


def basis(size, rank):
    return np.linalg.qr(np.random.default_rng(0).standard_normal((size, rank)))[0].T


@pytest.mark.parametrize("rank", [16, 64, 256, 1024])
def test_evenness_is_the_share_of_the_directions_that_are_seen(rank):
    found = probing.evenness(probing.pulled_back(Linear(basis(1024, rank)), ONE))
    assert found == pytest.approx(rank / 1024, rel=0.4)


def test_evenness_does_not_depend_on_the_scale_of_features():
    scaled = [Linear(s * basis(1024, 128)) for s in (1e-12, 1.0, 1e12)]
    values = [probing.evenness(probing.pulled_back(encoder, ONE)) for encoder in scaled]
    np.testing.assert_allclose(values, values[0], rtol=1e-3)


class Weighted(repinv.Encoder):
    """Cosine coefficients of an image times a power of their frequency."""

    channels = 1

    def __init__(self, power):
        self.power = power

    def vjp(self, x):
        height, width = x.shape[-2:]
        frequency = np.hypot(np.arange(height)[:, None] / height, np.arange(width) / width)
        weights = np.maximum(frequency, 0.5 / height) ** self.power
        return weights * dct(x), lambda v: idct(weights * v)

    def feature_shape(self, image_shape):
        return image_shape


@pytest.mark.parametrize("power", [-0.5, 0.0, 0.25, 0.5])
def test_growth_is_the_power_of_frequency_that_curvature_goes_as(power):
    pulled = probing.pulled_back(Weighted(power), initialization.noise(0, 1, (1, 64, 96)))
    assert probing.growth(pulled) == pytest.approx(2 * power, abs=0.1)


def test_images_without_both_octaves_tell_no_growth():
    image = initialization.noise(0, 1, (1, 6, 6))
    assert np.isnan(probing.growth(probing.pulled_back(Weighted(0.5), image)))
    assert initialization.parametrization(Linear(basis(36, 3)), image).exponent == 0.85


def test_a_rotation_of_pixels_turns_a_nearly_flat_spectrum():
    rotation = initialization.parametrization(Linear(basis(1024, 1024)), ONE)
    assert rotation.exponent == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("encoder", "exponent"),
    [
        (repinv.DSIFT.natural(5), 0.78),
        (repinv.HOG.vlfeat(), 0.85),
        (repinv.HOG.vlfeat(bilinear_orientations=True), 0.85),
        (repinv.BoVW.pretrained(256), 0.85),
    ],
    ids=["dsift", "hog", "bilinear hog", "words"],
)
def test_the_less_curvature_grows_with_frequency_the_less_the_spectrum_falls(encoder, exponent):
    space = initialization.parametrization(encoder, initialization.noise(0, 1, (1, 128, 128)))
    assert space.exponent == pytest.approx(exponent)


@pytest.mark.parametrize(("power", "exponent"), [(-0.5, 0.0), (-0.1, 0.25)])
def test_where_low_frequencies_are_told_best_the_spectrum_is_flat(power, exponent):
    image = initialization.noise(0, 1, (1, 64, 64))
    assert initialization.parametrization(Weighted(power), image).exponent == exponent


class Rectified(Linear):
    """The same, said to end with a rectifier."""

    @property
    def pre_activations(self):
        return self


@pytest.mark.parametrize(
    ("rank", "exponent"), [(8, 1.0), (64, 0.85), (1024, 0.25)], ids=["open", "pooled", "rotated"]
)
def test_rectified_layers_that_leave_all_open_turn_the_spectrum_of_photographs(rank, exponent):
    space = initialization.parametrization(Rectified(basis(1024, rank)), ONE)
    assert space.exponent == pytest.approx(exponent)
    assert initialization.parametrization(Linear(basis(1024, 8)), ONE).exponent == 0.85


def test_features_that_see_nothing_do_not_break_it():
    blind = Linear(np.zeros((5, 1024)))
    pulled = probing.pulled_back(blind, ONE)
    assert probing.evenness(pulled) == 0
    assert np.isnan(probing.growth(pulled))
    assert initialization.parametrization(blind, ONE).exponent == 0.85


def test_colours_are_natural_where_there_are_three():
    hog = repinv.HOG.vlfeat()
    assert isinstance(initialization.parametrization(hog, ONE), repinv.Spectral)
    colour = initialization.parametrization(hog, initialization.noise(0, 1, (3, 32, 32)))
    assert isinstance(colour, repinv.Decorrelated)


def test_the_start_is_as_faint_as_the_encoder_needs():
    normalized = probing.low_contrast(repinv.HOG.skimage(block_norm="L2"), ONE)
    linear = probing.low_contrast(Linear(basis(1024, 64)), ONE)
    assert normalized < linear == 1e-3


class Dark(repinv.Encoder):
    """Rectifiers that are open in the dark."""

    channels = 1

    def vjp(self, x):
        open_ = 0.35 - x
        return open_.clip(0), lambda v: np.where(open_ > 0, -v, 0)

    def feature_shape(self, image_shape):
        return image_shape


class Counted(repinv.Encoder):
    """Another encoder, and how often it was asked."""

    channels = 1

    def __init__(self, inner):
        self.inner, self.count = inner, 0

    def vjp(self, x):
        self.count += 1
        return self.inner.vjp(x)

    def feature_shape(self, image_shape):
        return self.inner.feature_shape(image_shape)


def test_a_run_begins_about_the_gray_that_the_encoder_answers_most_about():
    assert probing.gray(Dark(), ONE) == 0.2
    assert probing.gray(Linear(basis(1024, 64)), ONE) == 0.5
    image = np.tile(np.float32([0.05, 0.15]), (32, 16))
    result = repinv.invert(Dark()(image), Dark(), shape=(32, 32), max_iter=1)
    assert result.image.mean() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    "encoder",
    [repinv.HOG.vlfeat(), repinv.HOG.skimage(), repinv.DSIFT.natural(5), repinv.BoVW.pretrained()],
    ids=["vlfeat", "skimage", "dsift", "bovw"],
)
def test_an_encoder_that_does_not_see_brightness_is_asked_of_two_grays_and_given_the_middle(
    encoder,
):
    counted = Counted(encoder)
    assert probing.gray(counted, initialization.noise(0, 1, (1, 64, 64))) == 0.5
    assert counted.count == 2


def test_a_start_about_another_gray_is_the_same_but_for_that():
    spectral = repinv.Spectral(start_scale=0.1)
    middle, dark = (
        spectral.image(initialization.about(level, spectral, ONE)) for level in (0.5, 0.2)
    )
    np.testing.assert_allclose(dark, middle - 0.3, atol=1e-6)


def test_noise_of_an_image_is_that_of_its_number_in_a_batch_of_any_size():
    shape = (3, 250, 240)
    found = initialization.noise(5, 3, shape)
    assert found.size > initialization._LARGE > found[0].size
    for number in range(3):
        expected = np.random.default_rng((5, number)).standard_normal(shape)
        np.testing.assert_array_equal(found[number], expected.astype(np.float32))


def test_small_cells_start_at_a_contrast_that_shows_what_is_light():
    image = resize(rgb2gray(skimage.data.astronaut()), (96, 96), anti_aliasing=True)
    image = image.astype(np.float32)
    hog = repinv.HOG.vlfeat(cell_size=4)
    assert hog.start == (0.3, 0.85)
    assert repinv.HOG.vlfeat().start == (None, None)
    faint = repinv.Spectral(start_scale=1e-3)
    options = {"shape": image.shape, "max_iter": 150}
    found = repinv.invert(hog(image), hog, **options).error[0]
    before = repinv.invert(hog(image), hog, parametrization=faint, **options).error[0]
    assert found < 0.75 * before
