"""What bags of words and their kin are made of and learned from: networks, descriptors, folders."""

import numpy as np
import pytest
import skimage
import torch
from PIL import Image
from sklearn.decomposition import PCA as SklearnPCA

import repinv
import repinv_cnn
from repinv import DSIFT, HOG, PCA, VLAD, BoVW, FisherVector, HOGgle, compare, inverters, maximize
from repinv.testing import check_encoder, check_vjp

RNG = np.random.default_rng(0)
IMAGES = [
    (getattr(skimage.data, name)()[: 4 * 64 : 4, : 4 * 64 : 4] / 255).astype(np.float32)
    for name in ("camera", "coins", "moon", "brick", "grass", "gravel")
]
SIFT = DSIFT.vlfeat(step=4, size=4, fast=True)
QUIET = {"progress": False}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 5, stride=2, padding=2), torch.nn.ReLU(), torch.nn.Conv2d(6, 8, 3)
    )
    return repinv_cnn.TorchEncoder(net.eval(), layer="2", channels=1)


FITS = {
    "BoVW": lambda images, local, **o: BoVW.fit(images, local, 6, grid=(2, 2), **o, **QUIET),
    "BoVW everywhere": lambda images, local, **o: BoVW.fit(
        images, local, 6, grid=None, **o, **QUIET
    ),
    "VLAD": lambda images, local, **o: VLAD.fit(images, local, 6, assignment="soft", **o, **QUIET),
    "FisherVector": lambda images, local, **o: FisherVector.fit(images, local, 3, **o, **QUIET),
    "PCA": lambda images, local, **o: PCA.fit(images, local, 5, **o, **QUIET),
}
every = pytest.mark.parametrize("fit", FITS.values(), ids=FITS)


@pytest.mark.parametrize("name", FITS)
def test_words_are_made_of_networks(network, name):
    words = FITS[name](IMAGES, network)
    image = IMAGES[0]
    features = words(image)
    assert features.shape == words.feature_shape((1, 64, 64))
    np.testing.assert_allclose(words.encode(image[None, None])[0], features, atol=1e-5)
    result = repinv.invert(features, words, shape=(64, 64), max_iter=60)
    assert result.features.shape == (1, *features.shape)
    # Assignments to words are as good as hard in the units of this network, and slow to follow.
    most = {"BoVW": 0.4, "PCA": 1e-3}.get(name, np.inf)
    assert result.error[0] < most


@every
def test_the_pullback_through_a_network_is_the_derivative(network, fit):
    double = repinv_cnn.TorchEncoder(network.module, layer="2", channels=1, dtype=torch.float64)
    words = fit(IMAGES, double)
    check_encoder(words, (1, 40, 48), gradient=False)
    x = RNG.uniform(0.05, 0.95, (2, 1, 40, 48))
    check_vjp(words.vjp, x, step=1e-6, tolerance=1e-5)


def test_maps_without_positions_of_their_own_divide_the_image_evenly(network):
    frames = network.frames((1, 64, 64))
    assert frames.shape == (30 * 30, 2)
    np.testing.assert_allclose(frames[0], 64 / 60 - 0.5)
    np.testing.assert_allclose(frames[-1], 63.5 - 64 / 60)
    with pytest.raises(TypeError, match="no frames"):
        HOG.skimage().frames((1, 64, 64))


def descriptors_of(image):
    found = SIFT(image)
    return found[np.any(found != 0, axis=1)]


@every
@pytest.mark.parametrize("form", ["list", "generator", "one", "memmap", "tensors", "bytes"])
def test_descriptors_that_are_there_are_learned_from(tmp_path, fit, form):
    parts = [descriptors_of(image) for image in IMAGES]
    whole = np.concatenate(parts)
    if form == "memmap":
        np.save(tmp_path / "d.npy", whole)
    given = {
        "list": lambda: parts,
        "generator": lambda: (part for part in parts),
        "one": lambda: whole,
        "memmap": lambda: np.load(tmp_path / "d.npy", mmap_mode="r"),
        "tensors": lambda: [torch.asarray(part).to(torch.float32) for part in parts],
        "bytes": lambda: [np.minimum(512 * part, 255).astype(np.uint8) for part in parts],
    }[form]()
    found = fit(given, SIFT, descriptors=True)
    assert found.feature_shape((1, 64, 64))
    if form in ("generator", "tensors"):
        assert found == fit(parts, SIFT, descriptors=True)


def test_all_descriptors_are_seen():
    parts = [RNG.random((2000, 128)).astype(np.float32) for _ in range(2)]
    pca = PCA.fit(parts, SIFT, 7, descriptors=True, progress=False)
    expected = SklearnPCA(7, svd_solver="full").fit(np.concatenate(parts).astype(np.float64))
    np.testing.assert_allclose(pca.mean, expected.mean_, rtol=1e-5)
    np.testing.assert_allclose(np.abs(pca.components), np.abs(expected.components_), atol=1e-4)


def test_descriptors_are_not_taken_for_images():
    descriptors = descriptors_of(IMAGES[0])
    with pytest.raises(ValueError, match=r"could be descriptors or an image.*descriptors=True"):
        BoVW.fit([descriptors, descriptors], SIFT, 4, progress=False)
    with pytest.raises(ValueError, match=r"expected descriptors \(n, 128\).*got shape \(64, 64\)"):
        BoVW.fit(IMAGES, SIFT, 4, descriptors=True, progress=False)
    # Photographs that are as wide are images.
    wide = [skimage.data.camera()[:128, :128] / 255, skimage.data.coins()[:100, :128] / 255]
    assert BoVW.fit(wide, SIFT, 4, progress=False) == BoVW.fit(
        wide, SIFT, 4, descriptors=False, progress=False
    )


@pytest.fixture
def folder(tmp_path):
    """The images as files, two of them in a folder below."""
    (tmp_path / "more").mkdir()
    for number, image in enumerate(IMAGES):
        place = tmp_path / "more" if number > 3 else tmp_path
        Image.fromarray((255 * image).round().astype(np.uint8)).save(place / f"{number}.png")
    (tmp_path / "notes.md").write_text("no image")
    return tmp_path


def forms(folder, images=IMAGES):
    """The images in every form that they may come in."""
    paths = sorted(folder.rglob("*.png"))
    stacked = np.stack([np.asarray(Image.open(path)) / 255 for path in paths]).astype(np.float32)
    np.save(folder / "stack.npy", stacked)
    return {
        "list": list(stacked),
        "generator": (image for image in stacked),
        "array": stacked,
        "memmap": np.load(folder / "stack.npy", mmap_mode="r"),
        "folder": folder,
        "name": str(folder),
        "paths": paths,
    }


@every
def test_images_come_in_any_form(folder, fit):
    expected = fit(forms(folder)["list"], SIFT)
    for name, given in forms(folder).items():
        assert fit(given, SIFT) == expected, name


LEARNERS = {
    "HOGgle": lambda images: HOGgle.fit(images, n_atoms=8, windows_per_image=20, **QUIET),
    "Ridge": lambda images: inverters.Ridge.fit(images, HOG.vlfeat(), **QUIET),
    "NearestPatches": lambda images: inverters.NearestPatches.fit(images, HOG.vlfeat(), **QUIET),
    "PairedDictionary": lambda images: inverters.PairedDictionary.fit(
        images, HOG.vlfeat(), n_atoms=8, **QUIET
    ),
    "DirectOptimization": lambda images: inverters.DirectOptimization.fit(
        images, HOG.vlfeat(), n_components=16, **QUIET
    ),
}


@pytest.mark.parametrize("learn", LEARNERS.values(), ids=LEARNERS)
def test_others_learn_from_any_form_too(folder, learn):
    expected = learn(forms(folder)["list"])
    for name, given in forms(folder).items():
        assert learn(given) == expected, name


def test_images_to_measure_on_come_in_any_form(folder):
    hog = HOG.vlfeat()
    options = {"shape": (64, 64), "max_iter": 2}
    expected = maximize(hog, 3, images=forms(folder)["list"], **options)
    for name in ("generator", "memmap", "folder"):
        found = maximize(hog, 3, images=forms(folder)[name], **options)
        np.testing.assert_allclose(found.response, expected.response, rtol=1e-5)
    rows = [
        compare(IMAGES[0], [hog], references=forms(folder)[name], max_iter=2).rows[0]
        for name in ("list", "generator", "folder")
    ]
    assert rows[0].pairwise_error == pytest.approx(rows[1].pairwise_error)
    assert rows[0].pairwise_error == pytest.approx(rows[2].pairwise_error, rel=1e-5)


def test_files_have_the_pixel_values_of_the_encoder(folder):
    local = DSIFT.vlfeat(step=4, size=4, fast=True, value_range=(0, 255))
    arrays = [255 * image for image in forms(folder)["list"]]
    assert BoVW.fit(folder, local, 4, progress=False) == BoVW.fit(arrays, local, 4, progress=False)


def test_a_local_encoder_may_be_named_by_its_expression():
    named = BoVW.fit(IMAGES, "dsift.vlfeat(step=4, size=4, fast=True)", 4, progress=False)
    assert named == BoVW.fit(IMAGES, SIFT, 4, progress=False)
    ridge = inverters.Ridge.fit(IMAGES, "hog.vlfeat", progress=False)
    assert ridge == inverters.Ridge.fit(IMAGES, HOG.vlfeat(), progress=False)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ("no such folder", FileNotFoundError, "there is no no such folder"),
        (3, TypeError, "an iterable of arrays or paths, or a folder; got int"),
    ],
)
def test_what_is_no_stream_of_images_is_refused(given, error, words):
    with pytest.raises(error, match=words):
        BoVW.fit(given, SIFT, 4, progress=False)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there are none"):
        BoVW.fit(tmp_path, SIFT, 4, progress=False)
