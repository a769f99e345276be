"""HOG, dense SIFT and bags of words as layers of torch: equal to the encoders, gradients too.

The layers share no code with the encoders, and autograd none with their pullbacks.
"""

import copy

import numpy as np
import pytest
import skimage
import torch

import repinv
from repinv import DSIFT, HOG, LLC, BoVW, SoftAssignment
from repinv_cnn import BoVWNet, DSIFTNet, HOGNet

RNG = np.random.default_rng(13)
HEIGHT, WIDTH = 39, 46

HOGS = {
    "vlfeat hard": HOG.vlfeat(),
    "vlfeat bilinear": HOG.vlfeat(bilinear_orientations=True),
    "vlfeat bilinear of 0..255": HOG.vlfeat(bilinear_orientations=True, value_range=(0, 255)),
    "vlfeat dalal-triggs": HOG.vlfeat(5, "dalal-triggs", 7),
    "vlfeat dalal-triggs bilinear": HOG.vlfeat(7, "dalal-triggs", 6, True),
    "vlfeat small cells": HOG.vlfeat(1, num_orientations=1),
    "vlfeat softened": HOG.vlfeat(6).softened(0.3),
    "dpm": HOG.dpm(6),
    "dpm plain": HOG.dpm(7, normalize=False, truncator=0.3),
    "dpm softened": HOG.dpm(5).softened(0.5),
    "opencv": HOG.opencv((32, 32)),
    "opencv signed, padded": HOG.opencv(
        (32, 24),
        (16, 8),
        (8, 8),
        (8, 4),
        gamma_correction=False,
        signed_gradient=True,
        win_stride=(4, 12),
        padding=(6, 8),
    ),
    "opencv one bin": HOG.opencv((16, 16), nbins=1, win_sigma=3, value_range=(0, 1)),
    "maskfeat": HOG.maskfeat(),
    "maskfeat windowed": HOG.maskfeat(7, 7, 16),
    "maskfeat softened": HOG.maskfeat(pool=5).softened(0.4),
    "skimage gray": HOG.skimage(),
    "skimage softened": HOG.skimage(7, channel_axis=-1).softened(0.2),
} | {
    f"skimage {norm}{' of roots' * root}": HOG.skimage(
        8, (7, 9), (2, 3), norm, root, channel_axis=-1
    )
    for norm in ("L1", "L1-sqrt", "L2", "L2-Hys")
    for root in (False, True)
}
DSIFTS = {
    "vlfeat": DSIFT.vlfeat(),
    "vlfeat flat": DSIFT.vlfeat((3, 4), (4, 5), fast=True),
    "vlfeat bounds": DSIFT.vlfeat((2, 3), (3, 4), bounds=(2, 1, 30, 40)),
    "vlfeat geometry": DSIFT.vlfeat(3, (4, 2), geometry=(3, 2, 5), window_size=1.3),
    "vlfeat one bin": DSIFT.vlfeat(3, 4, geometry=(2, 1, 1)),
    "vlfeat rootsift": DSIFT.vlfeat(3, 4, rootsift=True),
    "vlfeat in colour": DSIFT.vlfeat(5, 4, channel_axis=-1),
    "vlfeat threshold": DSIFT.vlfeat(3, 4, contrast_threshold=0.0425),
    "vlfeat threshold softened": DSIFT.vlfeat(3, 4, contrast_threshold=0.0425).softened(0.5),
    "phow": DSIFT.phow(4, (4, 6)),
    "phow softened": DSIFT.phow(
        4, (4, 5), contrast_threshold=0.02, fast=False, rootsift=True, channel_axis=-1
    ).softened(1),
    "natural": DSIFT.natural(),
    "natural of 0..255": DSIFT.natural(4, value_range=(0, 255)),
    "kornia": DSIFT.kornia(stride=3),
    "kornia plain": DSIFT.kornia(6, 3, 5, False, 0.3, 2, 4),
}
LOCAL = HOG.vlfeat(4, bilinear_orientations=True)
WORDS = RNG.uniform(0, 0.4, (10, 31))
SIFT_WORDS = RNG.uniform(0, 0.15, (24, 128))
WARM = SoftAssignment(0.1)
BAGS = {
    "pretrained": BoVW.pretrained(256, grid=(3, 3)),
    "cells by size": BoVW.pretrained(256),
    "soft": BoVW(LOCAL, WORDS),
    "hard": BoVW(HOG.vlfeat(4), WORDS, assignment="hard", grid=(2, 2)),
    "three words": BoVW(
        LOCAL,
        WORDS,
        assignment=SoftAssignment(0.1, 3),
        grid=(3, 2),
        interpolate=False,
        power=0.5,
        norm="l1",
    ),
    "LLC": BoVW(LOCAL, WORDS, assignment="llc", grid=((1, 1), (2, 2))),
    "LLC, largest": BoVW(
        LOCAL, WORDS, assignment=LLC(3, 0.01), aggregation="max", grid=((1, 1), (3, 2))
    ),
    "map": BoVW(LOCAL, WORDS, grid=None, norm="l2", power=0.5),
    "of dpm": BoVW(HOG.dpm(4), RNG.uniform(0, 0.4, (8, 32)), assignment=WARM, norm="l2"),
    "of natural": BoVW(DSIFT.natural(3), SIFT_WORDS, assignment=WARM, grid=(1, 1)),
    "of kornia": BoVW(DSIFT.kornia(stride=4), SIFT_WORDS, assignment=WARM, grid=(2, 2)),
    "of phow, largest": BoVW(
        DSIFT.phow(4, (3, 4)), SIFT_WORDS, assignment=WARM, aggregation="max", power=0.7
    ),
    "finer than its descriptors": BoVW(
        DSIFT.vlfeat(8, 4), SIFT_WORDS, aggregation="max", grid=(12, 9)
    ),
}
NETS = {
    f"{kind} {name}": (net, encoder)
    for kind, net, encoders in (
        ("HOG", HOGNet, HOGS),
        ("DSIFT", DSIFTNet, DSIFTS),
        ("BoVW", BoVWNet, BAGS),
    )
    for name, encoder in encoders.items()
}
CASES = [
    pytest.param(net, encoder, channels, id=f"{name}-{channels}")
    for name, (net, encoder) in NETS.items()
    for channels in ((1, 3) if encoder.channels is None else (encoder.channels,))
]
cases = pytest.mark.parametrize(("net", "encoder", "channels"), CASES)
nets = pytest.mark.parametrize(
    ("net", "encoder"), [pytest.param(*case, id=name) for name, case in NETS.items()]
)


def compared(net, encoder, x, v=None, *, device="cpu"):
    """Largest differences of features and gradients, in units of the largest entries."""
    expected, pullback = encoder.vjp(x)
    tensor = torch.tensor(x, device=device, requires_grad=True)
    features = net(encoder).to(device)(tensor)
    assert (features.dtype, features.device) == (tensor.dtype, tensor.device)
    assert features.shape == expected.shape
    v = np.random.default_rng(expected.size).standard_normal(expected.shape).astype(x.dtype)
    features.backward(torch.tensor(v, device=device))
    return (
        far(features.detach().cpu().numpy(), expected),
        far(tensor.grad.cpu().numpy(), pullback(v)),
    )


def far(got, expected):
    assert np.isfinite(got).all()
    return float(np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-6))


def images(channels, dtype):
    x = np.random.default_rng(channels).uniform(0.05, 0.95, (2, channels, HEIGHT, WIDTH))
    return x.astype(dtype)


@cases
def test_features_and_gradients_equal_the_encoders_in_float64(net, encoder, channels):
    features, gradient = compared(net, encoder, images(channels, np.float64))
    # The encoder leaves out how kornia's epsilon turns faint gradients.
    flavour = getattr(getattr(encoder, "local", encoder), "flavour", None)
    turned = getattr(flavour, "epsilon", 0) > 0
    assert features < 1e-12
    assert gradient < (1e-6 if turned else 1e-11)


@cases
def test_features_and_gradients_equal_the_encoders_in_float32(net, encoder, channels):
    features, gradient = compared(net, encoder, images(channels, np.float32))
    # A temperature of 0.02 makes 100 roundings of one.
    assert features < (1e-4 if isinstance(encoder, BoVW) else 1e-5)
    # RootSIFT's roots are steep where descriptors are nearly zero.
    steep = "root=True" in repr(encoder) or isinstance(encoder, BoVW)
    # By rounding maxima change hands, and with them gradients: those are compared in float64.
    if getattr(encoder, "aggregation", "sum") != "max":
        assert gradient < (1e-4 if steep else 1e-5)


@nets
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_constant_images_are_finite(net, encoder, level):
    x = torch.full((1, encoder.channels or 3, HEIGHT, WIDTH), level, requires_grad=True)
    features = net(encoder)(x)
    features.sum().backward()
    assert features.isfinite().all()
    assert x.grad.isfinite().all()
    np.testing.assert_allclose(
        features.detach().numpy(), encoder.encode(x.detach().numpy()), atol=1e-5
    )


@nets
def test_saturated_images_are_finite(net, encoder):
    x = torch.tensor(np.round(images(encoder.channels or 3, np.float32)), requires_grad=True)
    features = net(encoder)(x)
    features.sum().backward()
    assert features.isfinite().all()
    assert x.grad.isfinite().all()


EIGHT_BIT = ("vlfeat hard", "vlfeat bilinear", "dpm", "opencv", "skimage gray", "skimage L2")


@pytest.mark.parametrize("name", EIGHT_BIT)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ties_of_8_bit_photographs_go_the_same_way(name, dtype):
    photograph = skimage.data.camera()[100:196, 200:290]
    x = (photograph / 255).astype(dtype)[None, None]
    expected = HOGS[name].encode(x)
    got = HOGNet(HOGS[name])(torch.tensor(x)).numpy()
    assert far(got, expected) < 1e-5


@pytest.mark.parametrize(
    ("net", "encoder"),
    [
        (HOGNet, HOG.vlfeat(4, bilinear_orientations=True)),
        (HOGNet, HOG.opencv((16, 16), (8, 8), (4, 4), (4, 4))),
        (HOGNet, HOG.skimage(8, (4, 4), (2, 2)).softened(1)),
        (DSIFTNet, DSIFT.vlfeat(3, 3)),
        (DSIFTNet, DSIFT.kornia(stride=4)),
        (BoVWNet, BoVW(LOCAL, WORDS, assignment=WARM, grid=(2, 2))),
    ],
    ids=["vlfeat", "opencv", "skimage", "dense SIFT", "kornia", "bag"],
)
def test_gradcheck_passes(net, encoder):
    x = torch.tensor(images(1, np.float64)[:1, :, :16, :16], requires_grad=True)
    assert torch.autograd.gradcheck(net(encoder), x, eps=1e-7, atol=1e-5, rtol=1e-5, fast_mode=True)


@nets
def test_sizes_of_images_may_vary(net, encoder):
    module = net(encoder)
    for height, width in ((HEIGHT, WIDTH), (41, 52), (64, 43)):
        rng = np.random.default_rng(height)
        x = rng.uniform(0, 1, (1, encoder.channels or 3, height, width))
        assert far(module(torch.tensor(x)).numpy(), encoder.encode(x)) < 1e-12


@nets
def test_there_is_nothing_to_save_or_to_learn(net, encoder):
    module = net(encoder)
    assert module.state_dict() == {}
    assert list(module.parameters()) == []
    assert copy.deepcopy(module).encoder == encoder
    assert repr(module).startswith(net.__name__)


def test_frames_are_those_of_the_encoders():
    for net, encoder in NETS.values():
        if net is not BoVWNet and encoder.descriptor_axis is not None:
            shape = (encoder.channels or 3, HEIGHT, WIDTH)
            got = net(encoder).frames(HEIGHT, WIDTH).numpy()
            np.testing.assert_array_equal(got, encoder.frames(shape))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("mixed", [False, True])
def test_narrow_dtypes_are_computed_in_float32(dtype, mixed):
    x = torch.tensor(images(1, np.float32)).to(dtype)
    for net, encoder in ((HOGNet, HOGS["vlfeat bilinear"]), (DSIFTNet, DSIFTS["natural"])):
        expected = net(encoder)(x.float()).to(dtype)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            got = net(encoder)(x)
        assert torch.equal(got, expected)


def test_batches_may_be_empty():
    for net, encoder in NETS.values():
        x = torch.zeros(0, encoder.channels or 3, HEIGHT, WIDTH)
        shape = encoder.feature_shape(tuple(x.shape[1:]))
        assert net(encoder)(x).shape == (0, *shape)


@pytest.mark.parametrize(
    ("net", "value", "message"),
    [
        (HOGNet, DSIFT.vlfeat(), "HOGNet takes a repinv.HOG; got DSIFT"),
        (DSIFTNet, HOG.vlfeat(), "DSIFTNet takes a repinv.DSIFT; got HOG"),
        (BoVWNet, HOG, "BoVWNet takes a repinv.BoVW; got the class HOG"),
    ],
)
def test_other_encoders_are_refused(net, value, message):
    with pytest.raises(TypeError, match=message):
        net(value)


def test_a_bag_of_another_encoder_is_refused():
    bag = BoVW(repinv.BoVW(LOCAL, WORDS, grid=None), RNG.random((4, 10)))
    with pytest.raises(ValueError, match=r"BoVWNet covers .* Use repinv_cnn.as_module"):
        BoVWNet(bag)


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="takes 1 channels; got 3"):
        DSIFTNet(DSIFT.natural())(torch.zeros(1, 3, 32, 32))
    with pytest.raises(ValueError, match="at least 27x27 pixels"):
        DSIFTNet(DSIFT.natural())(torch.zeros(1, 1, 9, 32))
    with pytest.raises(TypeError, match="floating"):
        HOGNet(HOG.vlfeat())(torch.zeros(1, 1, 32, 32, dtype=torch.int64))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@cases
def test_a_device_gives_the_same(net, encoder, channels):
    assert max(compared(net, encoder, images(channels, np.float64), device="cuda")) < 1e-6
    features, gradient = compared(net, encoder, images(channels, np.float32), device="cuda")
    assert features < 1e-4
    assert gradient < 1e-4
