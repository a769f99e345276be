"""Restorers, and runs that average several starts."""

import dataclasses
import importlib.resources
import shutil

import numpy as np
import pytest
import skimage
import torch

import repinv
from repinv import LBFGS, Pixels, Restorer, Stage
from repinv.metrics import ncc, ssim
from repinv.search import consensus
from repinv.search.restoration import grid, network, restorer
from repinv.search.schedules import averaging, restoring, restoring_polarity

RNG = np.random.default_rng(5)
HOG = repinv.HOG.vlfeat(bilinear_orientations=True)
WORDS = repinv.BoVW.pretrained(grid=(6, 6))
CAMERA = skimage.transform.resize(skimage.data.camera()[64:320, 128:384], (96, 96)).astype("f4")


def random_restorer(channels=31, fine=6, middle=5, coarse=4, scale=1.0):
    expected = network.widths(channels, fine, middle, coarse)
    shapes = [(side, side, *expected[name]) for name, side in network.LAYERS.items()]
    kernels = tuple(scale * 0.2 * RNG.standard_normal(shape) for shape in shapes)
    biases = tuple(scale * RNG.standard_normal(shape[3]) for shape in shapes)
    offset, deviation = RNG.random(channels), 1 + RNG.random(channels)
    return Restorer(kernels, biases, offset, deviation)


def random_vectors(shape, channels=31, count=1):
    return RNG.random((count, channels, *(2 * -(-side // 16) for side in shape)))


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
    found = zeros(mean, spread, random_vectors((13, 10)))
    np.testing.assert_allclose(found, mean, rtol=1e-12)


def test_a_run_goes_on_with_the_contrast_of_its_starts_or_a_photographs_where_it_is_restored():
    starts = 0.4 + 0.1 * RNG.random((6, 1, 16, 24))
    net, vectors = random_restorer(), random_vectors((16, 24))

    def restore(mean, spread):
        return net(mean, spread, vectors)

    for how, contrast in ((None, starts.std(axis=(1, 2, 3))), (restore, [0.25] * 6)):
        z, reference = consensus.averaged(starts, 3, how, Pixels())
        image = Pixels().image(z)
        assert image.shape == reference.shape == (2, 1, 16, 24)
        np.testing.assert_allclose(image.mean(axis=(1, 2, 3)), 0.5)
        expected = np.reshape(contrast, (2, 3)).mean(axis=1)
        np.testing.assert_allclose(image.std(axis=(1, 2, 3)), expected)


def test_a_run_goes_on_from_what_was_restored_except_where_starts_are_faint():
    x = 0.5 + 0.2 * RNG.standard_normal((1, 3, 1, 64, 128))
    x[..., 64:] = 0.5 + 0.01 * (x[..., 64:] - 0.5)
    restored = RNG.standard_normal((1, 1, 64, 128))
    z, reference = consensus.averaged(x[0], 3, lambda mean, spread: restored, Pixels())
    begin, mean = z, Restorer.averaged(x)[0]

    def likeness(part, image):
        inner = (..., part)
        return np.corrcoef(begin[inner].ravel(), image[inner].ravel())[0, 1]

    seen, faint = slice(8, 48), slice(80, 120)
    assert likeness(seen, reference) > 0.95 > likeness(seen, mean)
    assert likeness(faint, mean) > 0.95 > likeness(faint, reference)


@pytest.mark.parametrize("shape", [(16, 32), (13, 27), (3, 3)])
def test_a_restorer_serves_images_of_any_size(shape):
    net = random_restorer()
    mean, spread = RNG.random((2, 2, 1, *shape))
    vectors = random_vectors(shape)
    image = net(mean, spread, vectors)
    assert image.shape == (2, 1, *shape)
    padded = [((0, 0), (0, 0), *((0, -side % 16) for side in shape))] * 2
    larger = [np.pad(x, pad, mode="edge") for x, pad in zip((mean, spread), padded, strict=True)]
    expected = net(*larger, vectors)[..., : shape[0], : shape[1]]
    np.testing.assert_allclose(image, expected, atol=1e-12)


def test_a_restorer_takes_arrays_of_torch():
    net, vectors = random_restorer(), random_vectors((12, 16), count=2)
    mean, spread = RNG.random((2, 2, 1, 12, 16))
    image = net(torch.tensor(mean), torch.tensor(spread), torch.tensor(vectors))
    np.testing.assert_allclose(image.numpy(), net(mean, spread, vectors), atol=1e-12)


def test_what_is_gathered_is_spread_out_again():
    x = RNG.random((2, 12, 8, 3))
    found = network.gathered(x, 4)
    assert found.shape == (2, 3, 2, 48)
    # As torch gathers pixels: those of a channel one after the other.
    expected = torch.nn.functional.pixel_unshuffle(torch.tensor(x).permute(0, 3, 1, 2), 4)
    np.testing.assert_array_equal(found, expected.permute(0, 2, 3, 1))
    np.testing.assert_array_equal(network.spread_out(found, 4), x)


def test_a_saved_restorer_is_the_same_up_to_half_precision(tmp_path):
    net = random_restorer()
    net.save(tmp_path / "net.npz")
    read = Restorer.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(read.offset, net.offset)
    for mine, its in zip(net.kernels, read.kernels, strict=True):
        np.testing.assert_allclose(its, mine, rtol=1e-3, atol=1e-6)


def test_layers_that_do_not_fit_are_refused():
    net = random_restorer()
    for changed in (
        {"kernels": net.kernels[::-1]},
        {"kernels": net.kernels[:-1]},
        {"offset": net.offset[1:]},
        {"scale": net.scale[1:]},
    ):
        with pytest.raises(ValueError, match="17 layers"):
            dataclasses.replace(net, **changed)


def means(encoder, features):
    found = encoder.local_features(features, (1, *CAMERA.shape))
    return grid.on_grid(*found, CAMERA.shape)


def test_vectors_do_not_depend_on_the_scale_of_features():
    features = HOG.encode(CAMERA[None, None])
    found = grid.vectors(HOG, features, CAMERA.shape)
    assert np.sqrt(np.mean(found**2)) == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(grid.vectors(HOG, 7 * features, CAMERA.shape), found, rtol=1e-5)
    assert not grid.vectors(HOG, 0 * features, CAMERA.shape).any()


@pytest.mark.parametrize("cell", [4, 8, 16])
def test_features_on_the_grid_are_means_about_each_place(cell):
    hog = repinv.HOG.vlfeat(cell_size=cell)
    features = hog.encode(CAMERA[None, None])
    found = means(hog, features)
    assert found.shape == (1, 31, 12, 12)
    assert not np.isnan(found).any()
    if cell == 8:
        np.testing.assert_allclose(found, features, rtol=1e-6)
    elif cell == 4:
        # Cells of 4 pixels lie a quarter and three quarters of a place away.
        weights = np.outer(*[[0.25, 0.75, 0.75, 0.25]] * 2) / 4
        near = features[0, :, 5:9, 7:11]
        np.testing.assert_allclose(found[0, :, 3, 4], (near * weights).sum(axis=(1, 2)), rtol=1e-5)
    else:
        near = features[0, :, 1:3, 2:4]
        weights = np.outer([0.75, 0.25], [0.25, 0.75])
        np.testing.assert_allclose(found[0, :, 3, 6], (near * weights).sum(axis=(1, 2)), rtol=1e-5)


def test_blocks_are_averaged_where_they_overlap():
    hog = repinv.HOG.skimage(9, (8, 8), (2, 2))
    features = hog.encode(CAMERA[None, None])[0]
    found = means(hog, features[None])[0]
    np.testing.assert_allclose(found[:, 0, 0], features[0, 0, 0, 0], rtol=1e-6)
    four = features[2, 4, 1, 1] + features[3, 4, 0, 1] + features[2, 5, 1, 0] + features[3, 5, 0, 0]
    np.testing.assert_allclose(found[:, 3, 5], four / 4, rtol=1e-5)


def test_windows_of_opencv_lie_where_their_cells_are():
    # Vertical stripes in one place of the image alone.
    image = np.full((64, 96), 128, np.float32)
    image[16:24, 40:48] += 100 * (np.arange(8) % 4 < 2)
    for hog in (repinv.HOG.opencv((96, 64)), repinv.HOG.opencv((32, 32))):
        features = hog.encode(image[None, None] / 255)
        found = np.nan_to_num(grid.vectors(hog, features, image.shape))[0].sum(axis=0)
        assert np.unravel_index(found.argmax(), found.shape) == (2, 5)


def test_words_are_brought_to_the_grid_as_their_descriptors():
    hard = repinv.BoVW.pretrained(256, grid=(6, 6))
    features = hard.encode(CAMERA[None, None])
    assert grid.vectors(hard, features, CAMERA.shape).shape == (1, 128, 12, 12)
    vectors, positions = hard.local_features(features, (1, *CAMERA.shape))
    np.testing.assert_allclose(vectors[0, 0], features[0, 0, 0] @ hard.vocabulary, rtol=1e-5)
    np.testing.assert_allclose(positions[[0, 7]], [[7.5, 7.5], [23.5, 23.5]])


def test_a_damaged_file_is_named(tmp_path, monkeypatch):
    folder = importlib.resources.files("repinv.search.restoration") / "weights"
    shutil.copytree(folder, tmp_path / "weights")
    path = tmp_path / "weights" / "hog.npz"
    path.write_bytes(path.read_bytes()[:-1])
    monkeypatch.setattr(importlib.resources, "files", lambda name: tmp_path)
    restorer._read.cache_clear()
    with pytest.raises(ValueError, match=r"hog\.npz.*damaged"):
        Restorer.pretrained(HOG)
    path.unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        Restorer.pretrained(HOG)
    restorer._read.cache_clear()


@pytest.mark.parametrize(
    ("encoder", "name"),
    [
        (HOG, "hog"),
        (repinv.HOG.vlfeat(), "hog"),
        (repinv.HOG.dpm(), "hog"),
        (repinv.HOG.opencv(), "hog-unsigned"),
        (repinv.HOG.skimage(), "hog-unsigned"),
        (repinv.HOG.skimage(9, (4, 4), (2, 2)), "hog-unsigned"),
        (repinv.DSIFT.vlfeat(), "dsift"),
        (repinv.BoVW.pretrained(), "bovw"),
    ],
)
def test_encoders_name_their_restorer(encoder, name):
    assert Restorer.pretrained(encoder).learned_on == name


@pytest.mark.parametrize(
    "encoder",
    [repinv.HOG.skimage(8), repinv.HOG.vlfeat(variant="dalal-triggs"), repinv.HOG.maskfeat()],
)
def test_restorers_do_not_serve_other_numbers_of_bins(encoder):
    with pytest.raises(ValueError, match="no restorer ships for HOG"):
        Restorer.pretrained(encoder)


def test_features_that_do_not_say_where_they_are_from_cannot_be_restored():
    pyramid = repinv.BoVW.pretrained(256, grid=((1, 1), (2, 2)))
    with pytest.raises(ValueError, match="do not say where"):
        repinv.invert(pyramid(CAMERA), pyramid, shape=CAMERA.shape, prior="learned", max_iter=40)


@pytest.mark.parametrize(
    ("encoder", "options"),
    [
        (HOG, {"solver": repinv.LBFGS()}),
        (HOG, {"transforms": "robust"}),
        (repinv.HOG.skimage(), {"polarity": None}),
        (repinv.HOG.skimage(), {"polarity": CAMERA}),
    ],
    ids=["solver", "transforms", "no polarity", "image"],
)
def test_a_prior_that_is_not_used_is_said(encoder, options):
    def notes(**more):
        shape = CAMERA.shape
        return repinv.invert(encoder(CAMERA), encoder, shape=shape, max_iter=12, **more).notes

    def is_said(found):
        return any("the prior was not used" in note for note in found)

    assert is_said(notes(prior="learned", **options))
    assert not is_said(notes(**options))
    assert not is_said(notes(prior="learned"))


def test_options_that_go_ill_together_are_refused():
    features, hoggle = HOG(CAMERA), repinv.HOGgle.pretrained(256)

    def refused(match, *arguments, encoder=HOG, **options):
        with pytest.raises(ValueError, match=match):
            repinv.invert(*arguments, encoder, shape=CAMERA.shape, max_iter=10, **options)

    refused("prior must be", features, prior="dream")
    refused("seeds must be a whole number >= 1", features, seeds=0)
    refused("would lead to the same", features, seeds=3, initial=CAMERA)
    refused("no restorer ships for HOGgle", hoggle(CAMERA), encoder=hoggle, prior="learned")


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
    ("found", "share", "kept"),
    [
        (restoring(HOG), 1 / 4, 0.6),
        (averaging(repinv.HOG.vlfeat()), 1 / 2, 1.0),
        (averaging(HOG), 1 / 3, 0.1),
        (averaging(repinv.DSIFT.natural(5)), 1 / 3, 0.1),
        (restoring(WORDS), 1 / 4, 0.1),
        (averaging(WORDS), 1 / 2, 0.1),
    ],
    ids=["learned", "hard", "HOG", "DSIFT", "learned words", "words"],
)
def test_a_part_of_a_gathering_run_is_apart(found, share, kept):
    first = [stage.averages_starts for stage in found].index(True)
    apart, together = found[:first], found[first:]
    whole = sum(stage.share for stage in found)
    assert sum(stage.share for stage in apart) == pytest.approx(share * whole, rel=0.12)
    assert all(s.pull > 0 for s in together)
    assert not any(s.pull for s in apart)
    assert sum(stage.averages_starts for stage in together) == (2 if share == 1 / 4 else 1)
    # What was restored is nearer to the photograph than an average is, and holds for longer.
    assert together[-1].pull / together[0].pull == pytest.approx(kept)


def test_of_what_an_encoder_without_signs_is_restored_to_polarity_alone_is_followed():
    found = restoring_polarity(repinv.HOG.skimage())
    (begun,) = [stage for stage in found if stage.averages_starts]
    assert begun.begins_with_outline
    assert not any(stage.pull for stage in found)
    # The rough part chooses between an image and its negative; what follows the outline does not.
    assert [s.chooses_polarity for s in found].count(True) == 1
    assert sum(s.share for s in found[: found.index(begun)]) == pytest.approx(1 / 4)


@pytest.mark.parametrize("temperature", [0.02, 0.005])
def test_words_that_starts_agree_on_are_not_softened_again(temperature):
    words = repinv.BoVW.pretrained(assignment=repinv.SoftAssignment(temperature))
    found = averaging(words)
    first = [stage.averages_starts for stage in found].index(True)
    assert max(stage.softness for stage in found[:first]) == 1.0
    assert [stage.softness for stage in found[first:]] == [0.04, 0.04, 0.01, 0.0]
    # Which is a temperature of 0.02.
    assert (words.softened(0.04) is None) == (temperature == 0.02)
    # The words themselves, but compared under roots.
    assert words.softened(0.01) is None
    assert words.compared(0.01).power == 0.5


def test_an_encoder_with_one_leg_of_annealing_is_gathered_as_it_is():
    class Once(repinv.HOG):
        annealing = ((1.0, 1.0),)

    once = Once(repinv.HOG.vlfeat(bilinear_orientations=True).flavour)
    assert [s.softness for s in averaging(once) if s.pull] == [0.0, 0.0, 1.0, 0.0]
    assert once.compared(1.0) is None
