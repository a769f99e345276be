"""Named networks: the paper's layer names, weights from files, and what is refused."""

import numpy as np
import pytest
import torch

import repinv_cnn
from repinv_cnn.networks import ALIASES

torchvision = pytest.importorskip("torchvision", reason="needs torchvision")


@pytest.mark.parametrize("name", ["alexnet", "vgg16"])
def test_the_papers_names_are_those_of_layers_of_their_kind(name):
    kinds = {
        "conv": torch.nn.Conv2d,
        "relu": torch.nn.ReLU,
        "mpool": torch.nn.MaxPool2d,
        "pool": torch.nn.MaxPool2d,
        "fc": torch.nn.Linear,
    }
    module = torchvision.models.get_model(name)
    for alias, layer in ALIASES[name].items():
        kind = kinds[alias.rstrip("0123456789_")]
        assert isinstance(module.get_submodule(layer), kind), alias
    order = [
        layer
        for layer, part in module.named_modules()
        if part in {module.get_submodule(known) for known in ALIASES[name].values()}
    ]
    assert order == list(ALIASES[name].values())


def test_a_layer_of_alexnet_has_the_shape_that_the_paper_says():
    encoder = repinv_cnn.from_torchvision("alexnet", "conv1", weights=None)
    assert encoder.feature_shape((3, 224, 224)) == (64, 55, 55)
    assert encoder.channels == 3
    field = repinv_cnn.receptive_field(encoder, (3, 64, 64), draws=1)
    assert (field.size, field.stride) == ((11, 11), (4, 4))


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_weights_come_from_a_file(tmp_path, ending):
    torch.manual_seed(0)
    module = torchvision.models.get_model("squeezenet1_1").eval()
    path = tmp_path / f"weights.{ending}"
    if ending == "pth":
        torch.save(module.state_dict(), path)
    else:
        pytest.importorskip("safetensors.torch").save_file(module.state_dict(), path)
    encoder = repinv_cnn.from_torchvision("squeezenet1_1", "features.3", weights=path)
    x = torch.rand(1, 3, 40, 40)
    mean, std = (
        torch.tensor(values)[:, None, None]
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.no_grad():
        expected = module.features[:4]((x - mean) / std)
    torch.testing.assert_close(encoder.encode(x), expected)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickled_objects_are_never_loaded(tmp_path):
    torch.save({"features.0.weight": Bomb(tmp_path / "lit")}, tmp_path / "bad.pth")
    with pytest.raises(ValueError, match="not a state dictionary"):
        repinv_cnn.from_torchvision("alexnet", "conv1", weights=tmp_path / "bad.pth")
    assert not (tmp_path / "lit").exists()


def test_files_that_do_not_fit_are_refused(tmp_path):
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04")
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pth")
    for name, error, match in (
        ("cut.pth", ValueError, "is damaged"),
        ("other.pth", ValueError, "does not hold the weights of this network"),
        ("none.pth", FileNotFoundError, "no file of weights"),
    ):
        with pytest.raises(error, match=match):
            repinv_cnn.from_torchvision("alexnet", "conv1", weights=tmp_path / name)


def test_names_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match="no classification network 'alexnot'"):
        repinv_cnn.from_torchvision("alexnot", "conv1")
    with pytest.raises(ValueError, match=r"no weights 'MINE'\. It has IMAGENET1K_V1"):
        repinv_cnn.from_torchvision("alexnet", "conv1", weights="MINE")
    with pytest.raises(ValueError, match="no layer 'conv9'"):
        repinv_cnn.from_torchvision("alexnet", "conv9", weights=None)


def test_without_a_network_the_message_says_which_file_to_put_where(tmp_path, monkeypatch):
    def offline(url, *args, **kwargs):
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(FileNotFoundError, match=r"Bring the file .*checkpoints.alexnet-owt"):
        repinv_cnn.from_torchvision("alexnet", "conv1")


def test_the_digit_network_is_an_encoder_of_gray_images():
    encoder = repinv_cnn.from_digits("conv2")
    assert encoder.feature_shape((1, 32, 32)) == (32, 8, 8)
    images, _ = repinv_cnn.digit_images()
    assert encoder(np.asarray(images[0])).shape == (32, 8, 8)


def test_timms_networks_are_encoders_too():
    pytest.importorskip("timm", reason="needs timm")
    encoder = repinv_cnn.from_timm("resnet10t", "layer1", weights=None)
    assert encoder.feature_shape((3, 64, 64)) == (64, 16, 16)
    with pytest.raises(ValueError, match="timm has no network 'resnot'"):
        repinv_cnn.from_timm("resnot", "layer1")
