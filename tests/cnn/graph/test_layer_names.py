"""Names of layers: calls, and parts of what a layer returns."""

import numpy as np
import pytest
import torch
from torch import nn

import repinv_cnn
from repinv_cnn import TorchEncoder
from repinv_cnn._graph.layer_names import LayerName, parsed

X = torch.randn((2, 3, 12, 14), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Scales(nn.Module):
    """Maps of two sizes, as HRNet's stages return them: a list, or a dict of lists."""

    def __init__(self, keyed=False):
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(4, 5, 3), nn.Conv2d(4, 6, 3, stride=2)
        self.keyed = keyed

    def forward(self, x):
        maps = [torch.relu(self.fine(x)), torch.relu(self.coarse(x))]
        return {"0": maps, "sum": x.sum(dim=1, keepdim=True)} if self.keyed else maps


class Net(nn.Module):
    def __init__(self, keyed=False, looks=False):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.scales = nn.Conv2d(3, 4, 3, padding=1), Scales(keyed)
        self.keyed, self.looks = keyed, looks

    def forward(self, x):
        if self.looks and torch.isnan(x).any():
            return x
        found = self.scales(self.stem(x))
        return (found["0"] if self.keyed else found)[0]


def net(**options):
    return Net(**options).double().eval()


@pytest.mark.parametrize("looks", [False, True], ids=["traced", "run"])
@pytest.mark.parametrize(
    ("name", "keyed", "pick"),
    [
        ("scales[1]", False, lambda y: y[1]),
        ("scales:0[0]", False, lambda y: y[0]),
        ("scales[0][1]", True, lambda y: y["0"][1]),
        ("scales[sum]", True, lambda y: y["sum"]),
    ],
)
def test_a_part_of_an_output_is_a_layer(name, keyed, pick, looks):
    module = net(keyed=keyed, looks=looks)
    encoder = TorchEncoder(module, name, dtype=torch.float64)
    x = X.clone().requires_grad_()
    expected = pick(module.scales(module.stem(x)))
    features, pullback = encoder.vjp(X)
    v = torch.randn_like(expected)
    torch.testing.assert_close(features, expected.detach())
    torch.testing.assert_close(pullback(v), torch.autograd.grad(expected, x, v)[0])


def test_parts_of_one_output_are_joined():
    encoder = TorchEncoder(net(), ("scales[1]", "scales[0]"), dtype=torch.float64)
    maps = net().scales(net().stem(X))
    vector = encoder.encode(X)
    assert vector.shape == (2, sum(y[0].numel() for y in maps))
    assert not np.allclose(vector[0], vector[1])


def test_the_rectifier_that_ends_a_part_is_seen():
    encoder = TorchEncoder(net(looks=True), "scales[1]", dtype=torch.float64)
    before = encoder.pre_activations.encode(X)
    assert float(before.min()) < 0
    torch.testing.assert_close(before.clamp(min=0), encoder.encode(X))


def test_parts_are_listed():
    found = {layer.name: layer.shape for layer in TorchEncoder.layers(net(keyed=True), (3, 12, 14))}
    assert found["scales[0][1]"] == (6, 5, 6)
    assert found["scales[sum]"] == (1, 12, 14)
    assert "scales" not in found


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("scales[2]", r"'scales' has no part \[2\]: it returns a list of 2"),
        ("scales[a]", r"'scales' has no part \[a\]: it returns a list of 2"),
        ("stem[0", r"no layer 'stem\[0'"),
        ("scales:1[0]", "there is no call 1"),
    ],
)
def test_parts_that_there_are_not(layer, words):
    with pytest.raises(ValueError, match=words):
        TorchEncoder(net(), layer).feature_shape((3, 12, 14))


def test_a_list_is_refused_with_names_of_its_parts():
    with pytest.raises(
        TypeError, match=r"returns a list, not a tensor.*\(scales\[0\], scales\[1\]\)"
    ):
        TorchEncoder(net(), "scales").feature_shape((3, 12, 14))


def test_a_dictionary_is_refused_with_its_keys():
    words = r"returns a dict with 0, sum, not a tensor.*\(scales\[0\]\[0\], "
    with pytest.raises(TypeError, match=words):
        TorchEncoder(net(keyed=True), "scales").feature_shape((3, 12, 14))


def test_a_dictionary_of_layers_that_is_called_is_a_layer():
    class Group(nn.ModuleDict):
        def forward(self, x):
            for part in self.values():
                x = part(x)
            return {"out": x}

    module = nn.Sequential(Group({"a": nn.Conv2d(3, 4, 3), "b": nn.ReLU()})).eval()
    assert TorchEncoder(module, "0.b").feature_shape((3, 9, 9)) == (4, 7, 7)
    assert TorchEncoder(module, "0[out]").feature_shape((3, 9, 9)) == (4, 7, 7)
    with pytest.raises(TypeError, match="returns a dict with out"):
        TorchEncoder(module, "0").feature_shape((3, 9, 9))


def test_names_are_read_and_written():
    for text in ("a.b", "a.b:3", "a[0][key]", "a:1[2]"):
        assert str(parsed(text)) == text
    assert parsed("a:1[2]") == LayerName("a", 1, (2,))
    assert all(parsed(text) is None for text in ("a:b", "a[", "a[0]b", "a[]"))


def test_parts_of_layers_of_a_library_keep_the_paper_s_names():
    from repinv_cnn.networks import _layers

    assert _layers("alexnet", "conv1[0]") == f"{_layers('alexnet', 'conv1')}[0]"
    assert repinv_cnn.networks._layers("resnet18", "layer1:0") == "layer1:0"
