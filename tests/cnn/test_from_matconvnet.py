"""MatConvNet's networks as encoders: cut at the layers of the file, fed as the file says."""

import numpy as np
import pytest
import scipy.io

import repinv
import repinv_cnn
from repinv.metrics import ncc
from repinv.testing import check_vjp
from repinv_cnn.matconvnet import read_matconvnet

torch = pytest.importorskip("torch")

#: Names, filters (side, channels), stride and pad of VGG-M's layers, with few channels; the side
#: of each output is the published one.
VGG_M = [
    ("conv1", "conv", (7, 4), 2, 0, 109),
    ("relu1", "relu", None, 1, 0, 109),
    ("norm1", "lrn", None, 1, 0, 109),
    ("pool1", "pool", 3, 2, [0, 1, 0, 1], 54),
    ("conv2", "conv", (5, 6), 2, 1, 26),
    ("relu2", "relu", None, 1, 0, 26),
    ("norm2", "lrn", None, 1, 0, 26),
    ("pool2", "pool", 3, 2, [0, 1, 0, 1], 13),
    ("conv3", "conv", (3, 5), 1, 1, 13),
    ("conv4", "conv", (3, 5), 1, 1, 13),
    ("conv5", "conv", (3, 5), 1, 1, 13),
    ("pool5", "pool", 3, 2, 0, 6),
    ("fc6", "conv", (6, 8), 1, 0, 1),
    ("fc7", "conv", (1, 8), 1, 0, 1),
    ("fc8", "conv", (1, 3), 1, 0, 1),
    ("prob", "softmax", None, 1, 0, 1),
]


def cell(*values):
    """A row of MATLAB's cells."""
    array = np.empty((1, len(values)), object)
    array[0, :] = list(values)
    return array


def normalization(side, mean):
    return {"imageSize": np.array([side, side, 3]), "averageImage": np.float32(mean)}


@pytest.fixture(scope="module")
def vgg_m(tmp_path_factory):
    """The file of a network laid out as VGG-M is."""
    rng = np.random.default_rng(1)
    layers, depth = [], 3
    for name, kind, window, stride, pad, _ in VGG_M:
        layer = {"name": name, "type": kind}
        if kind == "conv":
            side, count = window
            filters = rng.standard_normal((side, side, depth, count)) / (side * depth**0.5)
            weights = cell(np.float32(filters), np.zeros((1, count), np.float32))
            layer |= {"weights": weights, "stride": stride, "pad": np.array(pad)}
            depth = count
        elif kind == "pool":
            layer |= {"method": "max", "pool": [window, window], "stride": stride, "pad": pad}
        elif kind == "lrn":
            layer |= {"param": np.array([5, 2, 1e-4, 0.75])}
        layers.append(layer)
    path = tmp_path_factory.mktemp("networks") / "vgg-m.mat"
    meta = {"normalization": normalization(224, rng.uniform(90, 130, (224, 224, 3)))}
    scipy.io.savemat(path, {"layers": cell(*layers), "meta": meta})
    return path


@pytest.fixture
def tiny(tmp_path):
    """The file of a small network whose first layer's features leave little open."""
    rng = np.random.default_rng(2)
    filters = rng.standard_normal((3, 3, 3, 12)) / 100
    layers = (
        {"type": "conv", "name": "conv1", "filters": filters, "biases": np.ones(12), "pad": 1},
        {"type": "lrn", "name": "norm1", "param": np.array([5, 1, 0.1, 0.75])},
        {"type": "pool", "name": "pool1", "method": "avg", "pool": 3, "stride": 2, "pad": 1},
    )
    path = tmp_path / "tiny.mat"
    about = normalization(16, [[[120.0, 115.0, 100.0]]])
    scipy.io.savemat(path, {"layers": cell(*layers), "normalization": about})
    return path


@pytest.mark.parametrize(("name", "side"), [(row[0], row[-1]) for row in VGG_M])
def test_each_layer_of_vgg_m_has_its_published_size(vgg_m, name, side):
    encoder = repinv_cnn.from_matconvnet(vgg_m, name)
    assert encoder.feature_shape((3, 224, 224))[1:] == (side, side)


@pytest.mark.parametrize("name", ["conv1", "norm1", "pool1", "conv2", "fc8", "prob"])
def test_features_are_those_of_the_network_up_to_the_layer(vgg_m, name):
    network = read_matconvnet(vgg_m)
    x = torch.from_numpy(np.random.default_rng(3).random((2, 3, 224, 224), dtype=np.float32))
    y = network.preprocess(x)
    with torch.no_grad():
        for child, layer in network.named_children():
            y = layer(y)
            if child == name:
                break
    found = repinv_cnn.from_matconvnet(vgg_m, name).encode(x)
    torch.testing.assert_close(found, y, rtol=1e-4, atol=1e-4)


def test_images_of_other_sizes_are_brought_to_the_networks(vgg_m):
    encoder = repinv_cnn.from_matconvnet(vgg_m, "fc8")
    assert encoder.feature_shape((3, 100, 120)) == (3, 1, 1)


def test_an_unknown_layer_is_refused_with_its_neighbours(vgg_m):
    with pytest.raises(ValueError, match=r"no layer 'conv6'\. Near it are .*conv5"):
        repinv_cnn.from_matconvnet(vgg_m, "conv6")


@pytest.mark.parametrize("layer", ["conv1", "norm1", "pool1", {"conv1": 1.0, "pool1": 2.0}])
def test_pullbacks_agree_with_differences(tiny, layer):
    encoder = repinv_cnn.from_matconvnet(tiny, layer, dtype=torch.float64)

    def vjp(x):
        features, pullback = encoder.vjp(torch.from_numpy(x))
        return features.numpy(), lambda v: pullback(torch.from_numpy(v)).numpy()

    check_vjp(vjp, np.random.default_rng(4).random((2, 3, 16, 16)))


def test_an_image_is_found_again_from_normalized_features(tiny):
    import skimage.data
    from skimage.transform import resize

    image = resize(skimage.data.astronaut()[:256, 128:384], (16, 16), anti_aliasing=True)
    encoder = repinv_cnn.from_matconvnet(tiny, "norm1")
    features = encoder.encode(encoder.asarray(image.transpose(2, 0, 1)[None]))[0]
    result = repinv.invert(features, encoder, shape=(16, 16, 3), max_iter=300)
    assert result.error[0] < 1e-4
    assert ncc(result.image, image) > 0.99
