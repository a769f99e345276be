"""Restorers learned with torch, used without it."""

import numpy as np
import pytest
import skimage
import torch

import repinv
import repinv_cnn
from repinv import metrics
from repinv_cnn.restoration import collages, learn_restorer, ssim

HOG = repinv.HOG.vlfeat(bilinear_orientations=True)
PHOTOGRAPHS = [
    skimage.util.img_as_float32(skimage.data.coins()),
    skimage.color.rgb2gray(skimage.data.chelsea()).astype(np.float32),
]

#: One as small as can be, one wide, one high.
SMALL = [PHOTOGRAPHS[0][:32, :32], PHOTOGRAPHS[0][100:140, :300], PHOTOGRAPHS[1][:, 200:233]]


def test_a_network_and_its_restorer_are_one():
    torch.manual_seed(0)
    net = learn_restorer.RestorerNet(width=6, layers=4)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    mean, spread = torch.rand(2, 2, 1, 16, 24)
    with torch.no_grad():
        expected = net(mean, spread)
    found = net.restorer("test")._once(mean.numpy(), spread.numpy())
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-5)


def test_energies_do_not_change_what_is_restored():
    net = learn_restorer.RestorerNet(width=6, layers=4)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    net(*torch.rand(2, 1, 1, 16, 16))[1].sum().backward()
    *inner, last = net.layers
    assert all(p.grad is None or not p.grad.any() for layer in inner for p in layer.parameters())
    assert last.weight.grad[-1].any()
    assert not last.weight.grad[:-1].any()


def test_structural_similarity_is_scikit_images():
    rng = np.random.default_rng(0)
    photographs = np.stack([PHOTOGRAPHS[0][:40, :56], PHOTOGRAPHS[1][:40, :56]])[:, None]
    images = (photographs + rng.normal(0, 0.1, photographs.shape).astype(np.float32)) ** 2
    expected = [metrics.ssim(images[k, 0] / images.max(), photographs[k, 0]) for k in range(2)]
    found = ssim.ssim(torch.from_numpy(3 - 2 * images), torch.from_numpy(photographs))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_structural_similarity_can_be_learned_from():
    images, photographs = torch.rand(2, 2, 1, 12, 16, dtype=torch.float64)
    constant = torch.full((2, 1, 12, 16), 0.5, requires_grad=True)
    ssim.ssim(constant, photographs.float()).sum().backward()
    assert torch.isfinite(constant.grad).all()
    images.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: ssim.ssim(x, photographs), images)


def test_scenes_are_inverted_for_as_long_as_is_asked_and_are_the_same_each_time():
    options = {"count": 2, "side": 32, "progress": False}
    both = learn_restorer.scenes(PHOTOGRAPHS, HOG, evaluations=(10, 60), **options)
    short = learn_restorer.scenes(PHOTOGRAPHS, HOG, evaluations=(10,), **options)
    np.testing.assert_array_equal(both.photographs[:2], both.photographs[2:])
    np.testing.assert_array_equal(both.preimages[:2], short.preimages)
    features = HOG.encode(both.photographs.astype(np.float32)[:, None])
    found = HOG.encode(both.preimages.astype(np.float32)[:, :1])
    error = repinv.metrics.feature_error(found, features)
    assert np.all(error[2:] < 0.3 * error[:2])


def test_learning_brings_averages_nearer_to_photographs(monkeypatch):
    # Few scenes a step, and a short memory, learn as much in a tenth of the time.
    for name, value in (("BATCH", 4), ("WARM", 10), ("MEMORY", 0.9)):
        monkeypatch.setattr(learn_restorer, name, value)
    found = learn_restorer.scenes(PHOTOGRAPHS, HOG, count=12, side=32, progress=False)
    assert found.photographs.shape == (12, 32, 32)
    assert found.preimages.shape == (12, learn_restorer.STARTS, 32, 32)
    restorer = learn_restorer.trained(found, "test", steps=200, progress=False)
    mean, spread = restorer.averaged(found.preimages.astype(np.float32)[:, :, None])

    photographs = found.photographs.astype(np.float32)

    def error(images):
        x, y = (
            (a - a.mean(axis=(1, 2), keepdims=True)) / a.std(axis=(1, 2), keepdims=True)
            for a in (images[:, 0], photographs)
        )
        return float(np.mean((x - y) ** 2))

    def likeness(images):
        x, y = torch.from_numpy(images), torch.from_numpy(photographs[:, None])
        return float(ssim.ssim(x, y).mean())

    image = restorer(mean, spread)[0]
    assert error(image) < 0.9 * error(mean)
    assert likeness(image) > likeness(mean) + 0.05


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_scenes_are_of_any_photograph_that_is_large_enough(share, monkeypatch):
    monkeypatch.setattr(collages, "COLLAGES", share)
    rng = np.random.default_rng(0)
    coloured = skimage.util.img_as_float32(skimage.data.coffee())
    found = np.stack([collages.scene([*SMALL, coloured], 32, rng) for _ in range(100)])
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    assert found.std(axis=(1, 2)).min() >= collages.FLAT
    assert np.median(found.std(axis=(1, 2))) > 0.1


def test_a_piece_is_what_the_photograph_shows(monkeypatch):
    # A plane of one slope stays one, however it is turned and stretched.
    for name in ("COLLAGES", "GAMMA"):
        monkeypatch.setattr(collages, name, 0.0)
    y, x = np.mgrid[:100, :100].astype(np.float32)
    piece = collages.scene([0.1 + (x + 2 * y) / 400], 64, np.random.default_rng(1))
    inner = piece[8:-8, 8:-8]
    slopes = np.gradient(inner.astype(np.float64))
    assert np.std(slopes, axis=(1, 2)).max() < 0.02 * np.hypot(*np.mean(slopes, axis=(1, 2)))


def test_a_flat_photograph_makes_collages_alone():
    flat = np.full((64, 64), 0.5, np.float32)
    assert collages.scene([flat], 32, np.random.default_rng(0)).std() >= collages.FLAT


def test_one_seed_learns_one_restorer():
    options = {"count": 4, "side": 32, "steps": 2, "progress": False}
    one, again = (repinv_cnn.learn_restorer(PHOTOGRAPHS, HOG, seed=3, **options) for _ in range(2))
    assert one.learned_on == "hog-bilinear"
    for mine, its in zip(one.kernels, again.kernels, strict=True):
        np.testing.assert_array_equal(mine, its)
    other = repinv_cnn.learn_restorer(PHOTOGRAPHS, HOG, seed=4, **options)
    assert not np.array_equal(one.kernels[0], other.kernels[0])


@pytest.mark.parametrize(
    ("photographs", "options", "match"),
    [
        ([], {}, "at least one photograph"),
        ([np.zeros((64, 64, 3), np.float32)], {}, r"photograph 0 is \(64, 64, 3\)"),
        ([PHOTOGRAPHS[0], np.zeros((200, 200, 4), np.uint8)], {}, "photograph 1 is"),
        ([np.full((200, 200), 255.0)], {}, r"\[0, 1\]; photograph 0 has 255"),
        ([np.full((200, 200), -0.5)], {}, r"\[0, 1\]; photograph 0 has -0.5"),
        ([np.full((200, 200), np.nan)], {}, "photograph 0 has nan"),
        ([PHOTOGRAPHS[0], np.zeros((200, 200), np.int64)], {}, "photograph 1 .* int64"),
        ([np.zeros((100, 300), np.float32)], {}, "128 pixels"),
        (PHOTOGRAPHS, {"side": 30}, "multiple of 8"),
        (PHOTOGRAPHS, {"steps": 0}, "one step"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(photographs, options, match):
    with pytest.raises(ValueError, match=match):
        repinv_cnn.learn_restorer(photographs, HOG, **options)
