"""A user's image becomes a batch, or a message that says what to do."""

import numpy as np
import pytest

from repinv.io.image import as_batch, as_unit, from_batch, to_gray


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_keep_their_type(dtype):
    assert as_batch(np.zeros((4, 5), dtype), precision=np.float32).dtype == dtype


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.int64, np.float16])
def test_other_pixels_take_the_precision_and_keep_their_values(dtype):
    image = np.arange(20).reshape(4, 5).astype(dtype)
    x = as_batch(image, precision=np.float64)
    assert x.dtype == np.float64
    np.testing.assert_array_equal(x[0, 0], image)


def test_channels_move_to_the_front():
    image = np.arange(24.0).reshape(2, 4, 3)
    x = as_batch(image)
    assert x.shape == (1, 3, 2, 4)
    assert x.flags.c_contiguous
    np.testing.assert_array_equal(x[0, 1], image[..., 1])


def test_a_batch_is_a_copy():
    image = np.zeros((3, 3))
    as_batch(image)[:] = 1
    assert not image.any()


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_an_image_survives_the_way_to_a_batch_and_back(shape):
    image = np.random.default_rng(0).random(shape)
    np.testing.assert_array_equal(from_batch(as_batch(image)[0]), image)


def test_lists_of_numbers_are_images():
    assert as_batch([[0, 1], [2, 3]]).shape == (1, 1, 2, 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_no_number_is_named(bad):
    image = np.zeros((4, 5, 3))
    image[2, 3, 1] = bad
    with pytest.raises(ValueError, match=r"1 NaN or infinite of 60, .* \(2, 3\).*nan_to_num"):
        as_batch(image)
    with pytest.raises(ValueError, match=r"1 NaN or infinite of 60, .* \(2, 3\)"):
        as_unit(image)


def test_a_pixel_too_large_for_the_precision_is_refused():
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="infinite"):
        as_batch(np.full((2, 2), 1e30, np.longdouble), precision=np.float16)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0, 3), (4, 4, 0)])
def test_an_empty_image_is_refused(shape):
    with pytest.raises(ValueError, match="empty"):
        as_batch(np.zeros(shape))


@pytest.mark.parametrize("shape", [(), (5,), (1, 4, 5, 3)])
def test_anything_but_one_image_is_refused(shape):
    with pytest.raises(ValueError, match="one image at a time"):
        as_batch(np.zeros(shape))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4), complex), "complex128.*magnitude"),
        (np.zeros((4, 4), object), "dtype object"),
        (np.full((4, 4), "a"), "real numbers"),
        ([[1, 2], [3]], "NumPy array; got builtins.list"),
        (None, "object"),
    ],
)
def test_what_is_not_made_of_real_numbers_is_refused(image, words):
    with pytest.raises(TypeError, match=words):
        as_batch(image)
    with pytest.raises(TypeError, match=words):
        as_unit(image)


def test_a_tensor_that_numpy_cannot_see_gets_the_way_out():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"got torch.Tensor on meta.*numpy\(force=True\)"):
        as_batch(torch.zeros((4, 4), device="meta"))


def test_a_tensor_that_requires_a_gradient_or_is_of_half_precision_is_taken():
    torch = pytest.importorskip("torch")
    plain = np.arange(16, dtype=np.float32).reshape(4, 4)
    grad = torch.asarray(plain.copy()).requires_grad_()
    np.testing.assert_array_equal(as_batch(grad)[0, 0], plain)
    np.testing.assert_array_equal(as_batch(grad.to(torch.bfloat16))[0, 0], plain)


@pytest.mark.parametrize(
    ("shape", "channels", "words"),
    [
        ((4, 5, 4), None, "alpha"),
        ((4, 5, 4), 3, "alpha"),
        ((4, 5, 2), None, "alpha"),
        ((4, 5, 3), 1, "rgb2gray"),
        ((4, 5), 3, "gray2rgb"),
        ((3, 5, 64), None, "moveaxis"),
    ],
)
def test_the_wrong_channels_are_refused_with_a_remedy(shape, channels, words):
    with pytest.raises(ValueError, match=words):
        as_batch(np.zeros(shape), channels=channels)


def test_an_encoder_may_need_other_channels():
    assert as_batch(np.zeros((4, 5, 7)), channels=7).shape == (1, 7, 4, 5)


@pytest.mark.parametrize(("dtype", "white"), [(bool, 1), (np.uint8, 255), (np.uint16, 65535)])
def test_integers_are_fractions_of_white(dtype, white):
    unit = as_unit(np.array([[0, white]], dtype))
    assert unit.dtype == np.float32
    np.testing.assert_array_equal(unit, [[0, 1]])


def test_sixteen_bits_survive_float32():
    words = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(np.rint(as_unit(words) * 65535).astype(np.uint16), words)


@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (-0.1, 0.5)])
def test_floats_outside_the_unit_range_are_refused(low, high):
    with pytest.raises(ValueError, match="Divide by the value of white"):
        as_unit(np.array([[low, high]]))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8, np.uint32])
def test_integers_that_do_not_say_what_white_is_are_refused(dtype):
    with pytest.raises(TypeError, match="what white is"):
        as_unit(np.zeros((2, 2), dtype))


def test_gray_is_luminance():
    image = np.zeros((2, 3, 3), np.float32)
    image[..., 1] = 1
    gray = to_gray(image)
    assert gray.shape == (2, 3)
    assert gray.dtype == np.float32
    np.testing.assert_allclose(gray, 0.7154, atol=1e-4)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1)])
def test_gray_stays_gray(shape):
    image = np.random.default_rng(0).random(shape)
    np.testing.assert_array_equal(to_gray(image), image.reshape(2, 3))


def test_alpha_is_no_colour():
    with pytest.raises(ValueError, match="alpha"):
        to_gray(np.zeros((2, 2, 4)))


def test_only_one_image_comes_back_from_a_batch():
    with pytest.raises(ValueError, match=r"x\[i\]"):
        from_batch(np.zeros((1, 1, 4, 4)))
