"""Restorers learned with torch, used without it."""

import numpy as np
import pytest
import skimage
import torch

import repinv
import repinv_cnn
from repinv import metrics
from repinv_cnn.restoration import collages, learn_restorer, likeness, pairs, ssim
from repinv_cnn.restoration.restorer_net import RestorerNet

HOG = repinv.HOG.vlfeat(bilinear_orientations=True)
PHOTOGRAPHS = [
    skimage.util.img_as_float32(skimage.data.coins()),
    skimage.color.rgb2gray(skimage.data.chelsea()).astype(np.float32),
]

#: One as small as can be, one wide, one high.
SMALL = [PHOTOGRAPHS[0][:32, :32], PHOTOGRAPHS[0][100:140, :300], PHOTOGRAPHS[1][:, 200:233]]


def test_a_network_and_its_restorer_are_one():
    torch.manual_seed(0)
    net = RestorerNet(7, (6, 5, 4))
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    mean, spread = torch.rand(2, 2, 1, 16, 32)
    vectors = torch.rand(2, 7, 2, 4)
    with torch.no_grad():
        expected = net(mean, spread, vectors)
    restorer = net.restorer(np.zeros(7), np.ones(7), "test")
    found = restorer(mean.numpy(), spread.numpy(), vectors.numpy())
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_network_that_learned_nothing_changes_nothing():
    mean, spread = torch.rand(2, 1, 1, 16, 16)
    with torch.no_grad():
        found = RestorerNet(31)(mean, spread, torch.rand(1, 31, 2, 2))
    np.testing.assert_array_equal(found, mean)


def test_the_widest_network_has_at_most_400_000_weights():
    assert sum(p.numel() for p in RestorerNet(31).parameters()) < 4e5
    assert sum(p.numel() for p in RestorerNet(128).parameters()) < 4.5e5


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


def test_scenes_are_the_same_each_time_whatever_was_made_before(tmp_path):
    options = {"count": 3, "side": 32, "evaluations": 10, "progress": False}
    found = pairs.pairs(PHOTOGRAPHS, HOG, **options)
    assert found.scenes.shape == (3, 32, 32)
    assert found.preimages.shape == (3, pairs.STARTS, 32, 32)
    assert found.vectors.shape == (3, 31, 4, 4)
    first = collages.scene(PHOTOGRAPHS, 32, np.random.default_rng((0, 0)))
    np.testing.assert_allclose(found.scenes[0], first, rtol=1e-3)
    features = repinv.Restorer.on_grid(HOG, HOG.encode(first[None, None]), first.shape)
    np.testing.assert_allclose(found.vectors[:1], features, rtol=1e-3, atol=1e-5)
    kept = pairs.pairs(PHOTOGRAPHS, HOG, checkpoint=tmp_path, **options)
    read = pairs.pairs([], HOG, checkpoint=tmp_path, **options)
    for one, again in ((found, kept), (kept, read)):
        for name in vars(one):
            np.testing.assert_array_equal(getattr(one, name), getattr(again, name))


def test_learning_brings_preimages_nearer_to_photographs(monkeypatch):
    # Few scenes a step, and a short memory, learn as much in a tenth of the time.
    for name, value in (("BATCH", 4), ("WARM", 10), ("MEMORY", 0.9)):
        monkeypatch.setattr(learn_restorer, name, value)
    found = pairs.pairs(PHOTOGRAPHS, HOG, count=12, side=32, progress=False)
    restorer = learn_restorer.trained(found, "test", steps=200, progress=False)
    mean, spread = restorer.averaged(found.preimages.astype(np.float32)[:, :, None])
    vectors = restorer.in_units(found.vectors, restorer.offset, restorer.scale)
    photographs = torch.from_numpy(found.scenes.astype(np.float32)[:, None])

    def unlike(images):
        return float(likeness.unlike(torch.from_numpy(np.asarray(images)), photographs))

    assert unlike(restorer(mean, spread, vectors)) < 0.8 * unlike(mean)


def test_training_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr(learn_restorer, "_EVERY", 2)
    found = pairs.pairs(PHOTOGRAPHS, HOG, count=3, side=32, evaluations=10, progress=False)
    whole = learn_restorer.trained(found, "test", 4, progress=False)
    loss, calls = likeness.unlike, []

    def interrupted(images, photographs):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return loss(images, photographs)

    monkeypatch.setattr(likeness, "unlike", interrupted)
    with pytest.warns(UserWarning, match="interrupted: 3 of 4"):
        learn_restorer.trained(found, "test", 4, checkpoint=tmp_path, progress=False)
    monkeypatch.setattr(likeness, "unlike", loss)
    resumed = learn_restorer.trained(found, "test", 4, checkpoint=tmp_path, progress=False)
    for one, other in zip(whole.kernels, resumed.kernels, strict=True):
        np.testing.assert_array_equal(one, other)


def test_encoders_that_do_not_tell_light_from_dark_are_found():
    scenes = np.stack([PHOTOGRAPHS[0][:64, :64], PHOTOGRAPHS[1][:64, :64]])
    assert learn_restorer.does_not_tell_light_from_dark(repinv.HOG.skimage(), scenes)
    assert not learn_restorer.does_not_tell_light_from_dark(HOG, scenes)


def test_photographs_are_read_from_files_when_they_are_needed(tmp_path):
    import imageio.v3 as iio

    pixels = (255 * PHOTOGRAPHS[0][:40, :48]).astype(np.uint8)
    iio.imwrite(tmp_path / "one.png", pixels)
    found = pairs.Photographs([tmp_path / "one.png", PHOTOGRAPHS[1]], 32)
    np.testing.assert_allclose(found[0], pixels / np.float32(255))
    with pytest.raises(ValueError, match=r"64 pixels.*one\.png is \(40, 48\)"):
        pairs.Photographs([tmp_path / "one.png"], 64)[0]


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
    assert one.learned_on == "hog"
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
        (PHOTOGRAPHS, {"side": 30}, "multiple of 16"),
        (PHOTOGRAPHS, {"steps": 0}, "one step"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(photographs, options, match):
    with pytest.raises(ValueError, match=match):
        repinv_cnn.learn_restorer(photographs, HOG, **options)
