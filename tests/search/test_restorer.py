"""Restorers, and runs that average several starts."""

import dataclasses
import importlib.resources
import itertools
import shutil

import numpy as np
import pytest
import skimage
import torch

import repinv
from repinv import LBFGS, Pixels, Restorer, Stage
from repinv.metrics import ncc, ssim
from repinv.search import consensus, restorer
from repinv.search.schedules import averaging

RNG = np.random.default_rng(5)
HOG = repinv.HOG.vlfeat(bilinear_orientations=True)
WORDS = repinv.BoVW.pretrained(grid=(6, 6))
CAMERA = skimage.transform.resize(skimage.data.camera()[64:320, 128:384], (96, 96)).astype("f4")


def random_restorer(unit=2, width=5, cell=4, scale=1.0):
    ends = [2 * unit**2, width, width, unit**2 + 1]
    pairs = list(itertools.pairwise(ends))
    kernels = tuple(scale * 0.2 * RNG.standard_normal((3, 3, *pair)) for pair in pairs)
    biases = tuple(scale * RNG.standard_normal(pair[1]) for pair in pairs)
    return Restorer(kernels, biases, unit, cell)


def test_averages_are_of_images_at_equal_contrast():
    image = RNG.random((1, 1, 8, 8))
    several = np.stack([image, 0.1 * image + 0.4], axis=1)
    mean, spread = Restorer.averaged(several)
    np.testing.assert_allclose(mean, (image - image.mean()) / image.std())
    np.testing.assert_allclose(spread, 0, atol=1e-12)


def test_where_starts_differ_the_average_fades():
    several = RNG.standard_normal((1, 400, 1, 16, 16))
    mean, spread = Restorer.averaged(several)
    assert mean.std() < 0.1
    assert spread.mean() == pytest.approx(1, abs=0.05)


def test_a_network_of_zeros_returns_the_mean():
    zeros = random_restorer(scale=0.0)
    mean, spread = RNG.random((2, 2, 1, 13, 10))
    np.testing.assert_allclose(zeros(mean, spread)[0], mean, rtol=1e-12)


def test_a_run_goes_on_with_the_contrast_of_its_starts_or_a_photographs_where_it_is_restored():
    starts = 0.4 + 0.1 * RNG.random((6, 1, 16, 24))
    for network, contrast in ((None, starts.std(axis=(1, 2, 3))), (random_restorer(), [0.25] * 6)):
        z, reference = consensus.averaged(starts, 3, network, Pixels())
        image = Pixels().image(z)
        assert image.shape == reference.shape == (2, 1, 16, 24)
        np.testing.assert_allclose(image.mean(axis=(1, 2, 3)), 0.5)
        expected = np.reshape(contrast, (2, 3)).mean(axis=1)
        np.testing.assert_allclose(image.std(axis=(1, 2, 3)), expected)


def test_a_run_goes_on_from_what_was_restored_except_where_starts_are_faint():
    x = 0.5 + 0.2 * RNG.standard_normal((1, 3, 1, 64, 128))
    x[..., 64:] = 0.5 + 0.01 * (x[..., 64:] - 0.5)
    network = random_restorer()
    z, reference = consensus.averaged(x[0], 3, network, Pixels())
    begin, mean = z, Restorer.averaged(x)[0]

    def likeness(part, image):
        inner = (..., part)
        return np.corrcoef(begin[inner].ravel(), image[inner].ravel())[0, 1]

    seen, faint = slice(8, 48), slice(80, 120)
    assert likeness(seen, reference) > 0.95 > likeness(seen, mean)
    assert likeness(faint, mean) > 0.95 > likeness(faint, reference)


@pytest.mark.parametrize("shape", [(16, 24), (13, 11), (3, 3)])
def test_a_restorer_is_as_torch_would_have_it(shape):
    net, unit = random_restorer(), 2
    mean, spread = RNG.random((2, 2, 1, *shape))
    padded = [-n % unit for n in shape]

    def once(images):
        x = torch.nn.functional.pad(torch.tensor(images), (0, padded[1], 0, padded[0]), "replicate")
        x = torch.nn.functional.pixel_unshuffle(x, unit)
        last = len(net.kernels) - 1
        for number, (kernel, bias) in enumerate(zip(net.kernels, net.biases, strict=True)):
            weight = torch.tensor(kernel.astype(float)).permute(3, 2, 0, 1)
            y = torch.conv2d(x, weight, torch.tensor(bias.astype(float)), padding=1)
            x = y if number == last else y.relu() + (x if number else 0)
        change = torch.nn.functional.pixel_shuffle(x[:, :-1], unit)
        return images[:, :1] + change.numpy()[..., : shape[0], : shape[1]], x[:, -1:]

    expected = once(np.concatenate([mean, spread], axis=1))
    np.testing.assert_allclose(net._once(mean, spread)[0], expected[0], atol=1e-10)
    down, across = (n // 4 for n in shape)
    energy = torch.exp(expected[1][..., : down * 2, : across * 2])
    if down:
        energy = torch.log(torch.nn.functional.avg_pool2d(energy, 2)).numpy()
        np.testing.assert_allclose(net(mean, spread)[1], energy, atol=1e-10)


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_restoring_commutes_with_symmetries(quarters, mirror):
    net = random_restorer()
    mean, spread = RNG.random((2, 1, 1, 12, 16))

    def turned(x):
        x = np.rot90(x, quarters, (-2, -1))
        return np.ascontiguousarray(x[..., ::-1] if mirror else x)

    expected = turned(net(mean, spread)[0])
    np.testing.assert_allclose(net(turned(mean), turned(spread))[0], expected, atol=1e-10)


def test_a_restorer_takes_arrays_of_torch():
    net = random_restorer()
    mean, spread = RNG.random((2, 1, 1, 12, 16))
    image, energy = net(torch.tensor(mean), torch.tensor(spread))
    expected = net(mean, spread)
    np.testing.assert_allclose(image.numpy(), expected[0], atol=1e-12)
    np.testing.assert_allclose(energy.numpy(), expected[1], atol=1e-12)


def test_a_saved_restorer_is_the_same_up_to_half_precision(tmp_path):
    net = random_restorer()
    net.save(tmp_path / "net.npz")
    read = Restorer.load(tmp_path / "net.npz")
    assert (read.unit, read.cell) == (net.unit, net.cell)
    for mine, its in zip(net.kernels, read.kernels, strict=True):
        np.testing.assert_allclose(its, mine, rtol=1e-3, atol=1e-6)


def test_layers_that_do_not_fit_are_refused():
    net = random_restorer()
    with pytest.raises(ValueError, match="unit² \\+ 1"):
        dataclasses.replace(net, unit=4)
    with pytest.raises(ValueError, match="kernels"):
        dataclasses.replace(net, kernels=net.kernels[::-1])


def test_a_damaged_file_is_named(tmp_path, monkeypatch):
    folder = importlib.resources.files("repinv.search") / "restorers"
    shutil.copytree(folder, tmp_path / "restorers")
    path = tmp_path / "restorers" / "hog-bilinear.npz"
    path.write_bytes(path.read_bytes()[:-1])
    monkeypatch.setattr(importlib.resources, "files", lambda name: tmp_path)
    restorer._read.cache_clear()
    with pytest.raises(ValueError, match=r"hog-bilinear\.npz.*damaged"):
        Restorer.pretrained(HOG)
    path.unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        Restorer.pretrained(HOG)
    restorer._read.cache_clear()


@pytest.mark.parametrize(
    ("encoder", "name"),
    [
        (HOG, "hog-bilinear"),
        (repinv.HOG.opencv(), "hog-bilinear"),
        (repinv.HOG.skimage(), "hog-hard"),
        (repinv.DSIFT.vlfeat(), "dsift"),
        (repinv.BoVW.pretrained(), "bovw"),
    ],
)
def test_encoders_name_their_restorer(encoder, name):
    assert Restorer.pretrained(encoder).learned_on == name


def test_options_that_go_ill_together_are_refused():
    features, hoggle = HOG(CAMERA), repinv.HOGgle.pretrained(256)

    def refused(match, *arguments, encoder=HOG, **options):
        with pytest.raises(ValueError, match=match):
            repinv.invert(*arguments, encoder, shape=CAMERA.shape, max_iter=10, **options)

    refused("prior must be", features, prior="dream")
    refused("seeds must be a whole number >= 1", features, seeds=0)
    refused("give seeds >= 2", features, prior="learned", seeds=1)
    refused("would lead to the same", features, seeds=3, initial=CAMERA)
    refused("no restorer ships for HOGgle", hoggle(CAMERA), encoder=hoggle, prior="learned")
    colours = repinv.HOG.skimage(channel_axis=-1)
    with pytest.raises(ValueError, match="3 channels"):
        repinv.invert(
            colours(np.stack([CAMERA] * 3, axis=-1)),
            colours,
            shape=(*CAMERA.shape, 3),
            prior="learned",
        )


@pytest.mark.parametrize("prior", [None, "learned"])
def test_what_starts_have_in_common_is_nearer_to_the_photograph(prior):
    features = HOG(CAMERA)
    options = {"shape": CAMERA.shape, "max_iter": 400}
    alone = repinv.invert(features, HOG, n_preimages=4, **options)
    together = repinv.invert(features, HOG, seeds=4, prior=prior, **options)
    assert together.images.shape == (1, *CAMERA.shape)
    assert together.trace["energy"].shape == (400, 1)
    assert together.trace["pull"][-1, 0] > 0
    assert together.error[0] < 0.01
    for measure, gain in ((ncc, 0.005), (ssim, 0.02)):
        best = max(measure(image, CAMERA) for image in alone.images)
        assert measure(together.image, CAMERA) > best + (gain if prior else 0)


def test_two_images_with_seeds_are_what_they_are_alone():
    features = HOG(CAMERA)
    options = {"shape": CAMERA.shape, "max_iter": 60, "seeds": 2, "prior": "learned"}
    both = repinv.invert(features, HOG, n_preimages=2, **options)
    one = repinv.invert(features, HOG, **options)
    assert both.images.shape == (2, *CAMERA.shape)
    np.testing.assert_allclose(both.images[0], one.image, atol=2e-3)


@pytest.mark.parametrize("stop", [20, 35, 50])
def test_a_run_with_seeds_goes_on_where_it_stopped(tmp_path, stop):
    features = HOG(CAMERA)
    options = {"shape": CAMERA.shape, "max_iter": 60, "seeds": 2, "prior": "learned"}
    whole = repinv.invert(features, HOG, check_every=5, **options)
    partial = repinv.invert(
        features,
        HOG,
        check_every=5,
        callback=lambda snapshot: snapshot.iteration >= stop,
        **options,
    )
    assert partial.images.shape == whole.images.shape
    partial.save(tmp_path / "run.npz")
    resumed = repinv.resume(tmp_path / "run.npz")
    np.testing.assert_array_equal(resumed.image, whole.image)
    np.testing.assert_array_equal(resumed.trace["energy"], whole.trace["energy"])


def test_without_a_stage_that_gathers_the_best_start_is_returned():
    features = HOG(CAMERA)
    options = {"shape": CAMERA.shape, "max_iter": 40, "solver": (Stage(1.0, LBFGS()),)}
    best = repinv.invert(features, HOG, seeds=3, **options)
    each = repinv.invert(features, HOG, n_preimages=3, **options)
    assert best.error == pytest.approx(each.error.min())


@pytest.mark.parametrize(
    ("encoder", "learned", "share", "kept"),
    [
        (HOG, True, 1 / 2, 0.6),
        (repinv.HOG.vlfeat(), False, 1 / 2, 1.0),
        (repinv.HOG.vlfeat(bilinear_orientations=True), False, 1 / 3, 0.1),
        (repinv.DSIFT.natural(5), False, 1 / 3, 0.1),
        (WORDS, True, 1 / 2, 0.1),
        (WORDS, False, 1 / 2, 0.1),
    ],
    ids=["learned", "hard", "HOG", "DSIFT", "learned words", "words"],
)
def test_a_half_or_a_third_of_a_gathering_run_is_apart(encoder, learned, share, kept):
    found = averaging(encoder, learned)
    first = [stage.averages_starts for stage in found].index(True)
    apart, together = found[:first], found[first:]
    whole = sum(stage.share for stage in found)
    assert sum(stage.share for stage in apart) == pytest.approx(share * whole, rel=0.12)
    assert all(s.pull > 0 for s in together)
    assert not any(s.pull for s in apart)
    # What was restored is nearer to the photograph than an average is, and holds for longer.
    assert together[-1].pull / together[0].pull == pytest.approx(kept)


@pytest.mark.parametrize("temperature", [0.02, 0.005])
def test_words_that_starts_agree_on_are_not_softened_again(temperature):
    words = repinv.BoVW.pretrained(assignment=repinv.SoftAssignment(temperature))
    found = averaging(words)
    first = [stage.averages_starts for stage in found].index(True)
    assert max(stage.softness for stage in found[:first]) == 1.0
    assert [stage.softness for stage in found[first:]] == [0.04, 0.04, 0.0, 0.0]
    # Which is a temperature of 0.02.
    assert (words.softened(0.04) is None) == (temperature == 0.02)


def test_an_encoder_with_one_leg_of_annealing_is_gathered_as_it_is():
    class Once(repinv.HOG):
        annealing = ((1.0, 1.0),)

    once = Once(repinv.HOG.vlfeat(bilinear_orientations=True).flavour)
    assert [s.softness for s in averaging(once) if s.pull] == [0.0] * 4
