"""NumPy encoders as modules of torch: under autograd, in a training loop, on any dtype."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

import repinv
import repinv_cnn

RNG = np.random.default_rng(5)
HOG = repinv.HOG.vlfeat(4, bilinear_orientations=True)
WORDS = RNG.uniform(0, 0.4, (10, 31))
ENCODERS = {
    "HOG": HOG,
    "dense SIFT": repinv.DSIFT.vlfeat(3, 4),
    "bag of words": repinv.BoVW(HOG, WORDS, grid=(2, 2)),
    "VLAD": repinv.VLAD(HOG, WORDS, power=1.0),
}
IMAGES = RNG.uniform(0.05, 0.95, (2, 1, 20, 24))
encoders = pytest.mark.parametrize(
    "encoder", [pytest.param(encoder, id=name) for name, encoder in ENCODERS.items()]
)


@encoders
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_features_and_gradients_are_those_of_the_encoder(encoder, dtype):
    x = torch.tensor(IMAGES, dtype=dtype, requires_grad=True)
    features = repinv_cnn.as_module(encoder)(x)
    expected, pullback = encoder.vjp(x.detach().numpy())
    assert features.dtype == dtype
    np.testing.assert_array_equal(features.detach().numpy(), expected)
    v = torch.tensor(RNG.standard_normal(expected.shape), dtype=dtype)
    features.backward(v)
    assert x.grad.dtype == dtype
    np.testing.assert_array_equal(x.grad.numpy(), pullback(v.numpy()))


@encoders
def test_gradcheck_passes(encoder):
    module = repinv_cnn.as_module(encoder)
    x = torch.tensor(IMAGES[:1, :, :16, :16], requires_grad=True)
    assert torch.autograd.gradcheck(module, x, eps=1e-7, atol=1e-5, rtol=1e-5, fast_mode=True)


def test_gradcheck_passes_entry_by_entry():
    module = repinv_cnn.as_module(repinv.HOG.vlfeat(3, bilinear_orientations=True))
    x = torch.tensor(IMAGES[:1, :, :8, :8], requires_grad=True)
    assert torch.autograd.gradcheck(module, x, eps=1e-7, atol=1e-5, rtol=1e-5)


@dataclasses.dataclass(frozen=True)
class Counting(repinv.Encoder):
    """Doubles images, and counts what it is asked for."""

    calls: list = dataclasses.field(default_factory=list)

    def vjp(self, x, /):
        self.calls.append("vjp")
        return 2 * x, lambda v: 2 * v

    def encode(self, x, /):
        self.calls.append("encode")
        return 2 * x

    def feature_shape(self, image_shape, /):
        return image_shape


def test_without_a_gradient_only_features_are_computed():
    encoder = Counting()
    module = repinv_cnn.as_module(encoder)
    x = torch.ones(1, 1, 2, 2)
    assert not module(x).requires_grad
    with torch.no_grad():
        assert not module(x.requires_grad_()).requires_grad
    assert encoder.calls == ["encode", "encode"]
    module(x).sum().backward()
    assert encoder.calls[2:] == ["vjp"]
    assert (x.grad == 2).all()


def test_nothing_is_written_to_the_images_or_shared_with_them():
    class Itself(Counting):
        def encode(self, x, /):
            return x

    x = torch.zeros(1, 1, 2, 2)
    features = repinv_cnn.as_module(Itself())(x)
    features += 1
    assert (x == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_dtypes_are_computed_in_float32(dtype):
    x = torch.tensor(IMAGES, dtype=dtype, requires_grad=True)
    features = repinv_cnn.as_module(HOG)(x)
    assert features.dtype == dtype
    expected = HOG.encode(x.detach().float().numpy())
    assert torch.equal(features.detach(), torch.tensor(expected).to(dtype))
    features.float().square().sum().backward()
    assert x.grad.dtype == dtype
    assert x.grad.isfinite().all()


def test_strided_images_and_cotangents_are_taken():
    module = repinv_cnn.as_module(HOG)
    x = torch.tensor(IMAGES).mT.contiguous().mT.requires_grad_()
    y = torch.tensor(IMAGES).contiguous().requires_grad_()
    module(x).sum().backward()
    module(y).sum().backward()
    assert torch.equal(x.grad, y.grad)


def test_it_is_a_loss_in_a_training_loop():
    torch.manual_seed(0)
    module = repinv_cnn.as_module(HOG)
    target = module(torch.tensor(IMAGES, dtype=torch.float32))
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.Conv2d(8, 1, 1))
    shifted = torch.tensor(1 - IMAGES, dtype=torch.float32).roll(1, dims=3)
    rule = torch.optim.Adam(network.parameters(), 0.1)
    losses = []
    for _ in range(60):
        rule.zero_grad()
        loss = (module(network(shifted)) - target).square().mean()
        loss.backward()
        rule.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_second_derivatives_are_refused():
    x = torch.tensor(IMAGES, requires_grad=True)
    loss = repinv_cnn.as_module(HOG)(x).square().sum()
    (grad,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_there_is_nothing_to_save_and_its_text_names_the_encoder():
    module = repinv_cnn.as_module(HOG)
    assert module.state_dict() == {}
    assert list(module.parameters()) == []
    assert "HOG(" in repr(module)
    # A vocabulary is no help in a text.
    assert repr(repinv_cnn.as_module(ENCODERS["bag of words"])) == "EncoderModule(BoVW)"


def test_it_can_be_copied():
    module = repinv_cnn.as_module(HOG)
    assert copy.deepcopy(module).encoder == HOG


class OfTensors(Counting):
    def asarray(self, a, /):
        return torch.as_tensor(a)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.nn.Identity(), "takes a repinv.Encoder; got Identity"),
        (repinv.HOG, "got the class HOG. Give an encoder, such as"),
        (OfTensors(), "OfTensors computes with torch.Tensor. Use the module"),
    ],
    ids=["module", "class", "tensors"],
)
def test_what_is_no_encoder_of_arrays_is_refused(value, message):
    with pytest.raises(TypeError, match=message):
        repinv_cnn.as_module(value)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (IMAGES, TypeError, "takes tensors; got ndarray"),
        (torch.zeros(1, 1, 32, 32, dtype=torch.uint8), TypeError, "floating.*got torch.uint8"),
        (torch.zeros(1, 1, 32, 32, dtype=torch.complex64), TypeError, "got torch.complex64"),
        (torch.zeros(32, 32), ValueError, r"\(N, C, H, W\); got shape \(32, 32\)"),
        (torch.zeros(1, 1, 1, 32), ValueError, "at least 3x3 pixels"),
    ],
    ids=["array", "integers", "complex", "axes", "small"],
)
def test_other_images_are_refused(x, error, message):
    with pytest.raises(error, match=message):
        repinv_cnn.as_module(HOG)(x)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tensors_of_a_device_come_back_to_it():
    x = torch.tensor(IMAGES, device="cuda", requires_grad=True)
    features = repinv_cnn.as_module(HOG)(x)
    assert features.device == x.device
    features.sum().backward()
    assert x.grad.device == x.device
