"""The digit network: what ships knows its digits, can be inverted, and shows what it knows."""

import importlib.resources

import numpy as np
import pytest

import repinv
import repinv_cnn
from repinv.metrics import ncc

torch = pytest.importorskip("torch")

FILE = importlib.resources.files("repinv_cnn") / "weights" / "digits.npz"


@pytest.fixture(scope="module")
def net():
    return repinv_cnn.digits_network()


@pytest.fixture(scope="module")
def held_out():
    return repinv_cnn.digit_images()


def test_it_comes_in_evaluation_mode_with_its_layers_named(net):
    assert not net.training
    names = [name for name, _ in net.named_children()]
    assert names == [
        *("conv1", "relu1", "conv2", "relu2", "conv3", "relu3"),
        *("flatten", "fc", "relu4", "logits"),
    ]


def test_it_names_digits_held_out(net, held_out):
    images, labels = held_out
    with torch.no_grad():
        named = net(torch.from_numpy(images)[:, None]).argmax(1).numpy()
    assert (named == labels).mean() >= 0.97


def test_a_quarter_of_the_digits_is_held_out_with_equal_shares_of_classes(held_out):
    images, labels = held_out
    train, _ = repinv_cnn.digit_images(train=True)
    assert (len(images), len(train)) == (450, 1347)
    assert images.shape[1:] == (32, 32)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert np.ptp(np.bincount(labels, minlength=10)) <= 3
    assert not {image.tobytes() for image in images} & {image.tobytes() for image in train}


def test_its_weights_are_small_and_hold_no_pickle():
    with FILE.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        assert {arrays[name].dtype for name in arrays.files} == {np.dtype(np.float32)}
    assert len(FILE.read_bytes()) < 300_000


@pytest.mark.parametrize("damage", ["bit", "cut", "gone"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    content = bytearray(FILE.read_bytes())
    content[1000] ^= 1
    path = tmp_path / "digits.npz"
    if damage != "gone":
        path.write_bytes(content if damage == "bit" else FILE.read_bytes()[:-10])
    with pytest.raises(ValueError, match="Install repinv anew"):
        repinv_cnn.digits_network(path)


def test_two_networks_share_no_weights(net):
    other = repinv_cnn.digits_network()
    with torch.no_grad():
        other.conv1.weight.zero_()
    assert net.conv1.weight.abs().sum() > 0


def test_a_digit_is_found_again_from_its_conv2_features(net, held_out):
    image = held_out[0][0]
    encoder = repinv_cnn.TorchEncoder(net, layer="conv2", channels=1)
    features = encoder.encode(encoder.asarray(image[None, None]))[0]
    result = repinv.invert(features, encoder, shape=(32, 32), max_iter=200)
    assert result.error[0] < 1e-4
    assert ncc(result.image, image) > 0.999


def test_an_image_that_excites_a_class_is_of_that_class(net):
    digits, _ = repinv_cnn.digit_images(train=True)
    encoder = repinv_cnn.TorchEncoder(net, layer="logits", channels=1)
    result = repinv.maximize(encoder, 3, shape=(32, 32), images=digits)
    image = np.asarray(result.image, dtype=np.float32)
    with torch.no_grad():
        p = torch.softmax(net(torch.from_numpy(image)[None, None]), dim=1)[0]
    assert p[3] >= 0.99
