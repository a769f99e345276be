"""MatConvNet's files: layers against NumPy restatements of its definitions, and what is refused."""

import numpy as np
import pytest
import scipy.io
import torch

from repinv_cnn.matconvnet import read_matconvnet

RNG = np.random.default_rng(17)


def cell(*values):
    """A row of MATLAB's cells."""
    array = np.empty((1, len(values)), object)
    array[0, :] = list(values)
    return array


def written(path, *layers, **others):
    scipy.io.savemat(path, {"layers": cell(*layers), **others})
    return path


def conv(filters, biases, old=False, **fields):
    weights = {"filters": filters, "biases": biases} if old else {"weights": cell(filters, biases)}
    return {"type": "conv", **weights, **fields}


def convolved(x, filters, biases, pad, stride):
    """(H, W, C) by filters (h, w, C/groups, K), entry by entry."""
    top, bottom, left, right = pad
    x = np.pad(x, ((top, bottom), (left, right), (0, 0)))
    h, w, depth, count = filters.shape
    rows = (x.shape[0] - h) // stride[0] + 1
    columns = (x.shape[1] - w) // stride[1] + 1
    per_group = count // (x.shape[2] // depth)
    y = np.zeros((rows, columns, count))
    for i, j, k in np.ndindex(y.shape):
        first = k // per_group * depth
        part = x[i * stride[0] :, j * stride[1] :, first : first + depth][:h, :w]
        y[i, j, k] = (part * filters[..., k]).sum() + biases[k]
    return y


def pooled(x, window, pad, stride, reduce):
    """The positions of each window that lie in the image, reduced."""
    top, bottom, left, right = pad
    rows = (x.shape[0] + top + bottom - window[0]) // stride[0] + 1
    columns = (x.shape[1] + left + right - window[1]) // stride[1] + 1
    y = np.zeros((rows, columns, x.shape[2]))
    for i, j in np.ndindex(rows, columns):
        a, b = i * stride[0] - top, j * stride[1] - left
        inside = x[max(a, 0) : a + window[0], max(b, 0) : b + window[1]]
        y[i, j] = reduce(inside, axis=(0, 1))
    return y


def normalized(x, depth, kappa, alpha, beta):
    y = np.empty_like(x)
    for k in range(x.shape[2]):
        low, high = max(0, k - (depth - 1) // 2), k + -(-(depth - 1) // 2)
        y[..., k] = x[..., k] / (kappa + alpha * (x[..., low : high + 1] ** 2).sum(-1)) ** beta
    return y


def of_image(network, x):
    """A network's answer to (H, W, C), as (H, W, C)."""
    with torch.no_grad():
        y = network(torch.tensor(x, dtype=torch.float32).permute(2, 0, 1)[None])
    return y[0].permute(1, 2, 0).numpy()


IMAGE = RNG.uniform(-1, 1, (9, 11, 6)).astype(np.float32)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    ("groups", "pad", "stride"),
    [(1, (0, 0, 0, 0), (1, 1)), (2, (2, 1, 0, 1), (2, 3)), (3, (1, 1, 1, 1), (2, 2))],
)
def test_convolutions(tmp_path, old, groups, pad, stride):
    filters = RNG.standard_normal((3, 2, 6 // groups, 6)).astype(np.float32)
    biases = RNG.standard_normal(6).astype(np.float32)
    layer = conv(filters, biases, old, pad=np.array(pad), stride=np.array(stride))
    size = {"imageSize": np.array([9, 11, 6])}
    network = read_matconvnet(written(tmp_path / "a.mat", layer, normalization=size))
    expected = convolved(IMAGE, filters, biases, pad, stride)
    np.testing.assert_allclose(of_image(network, IMAGE), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["max", "avg"])
@pytest.mark.parametrize(
    ("window", "pad", "stride"),
    [
        ((2, 2), (0, 0, 0, 0), (2, 2)),
        ((3, 3), (0, 1, 0, 1), (2, 2)),
        ((3, 2), (2, 1, 1, 0), (1, 3)),
    ],
)
def test_pooling_counts_only_what_is_inside(tmp_path, method, window, pad, stride):
    layer = {
        "type": "pool",
        "method": method,
        "pool": np.array(window),
        "pad": np.array(pad),
        "stride": np.array(stride),
    }
    network = read_matconvnet(written(tmp_path / "a.mat", layer))
    expected = pooled(IMAGE, window, pad, stride, np.max if method == "max" else np.mean)
    np.testing.assert_allclose(of_image(network, IMAGE), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["lrn", "normalize"])
@pytest.mark.parametrize("depth", [1, 4, 5])
def test_response_normalization_does_not_divide_by_its_depth(tmp_path, kind, depth):
    layer = {"type": kind, "param": np.array([depth, 2, 0.3, 0.75])}
    network = read_matconvnet(written(tmp_path / "a.mat", layer))
    expected = normalized(IMAGE, depth, 2, 0.3, 0.75)
    np.testing.assert_allclose(of_image(network, IMAGE), expected, rtol=1e-5)


def small(tmp_path, *, old=False, mean=None, **others):
    """A network of each kind of layer."""
    mean = RNG.uniform(90, 130, (9, 11, 3)) if mean is None else mean
    normalization = {"imageSize": np.array([9, 11, 3]), "averageImage": mean}
    classes = {"description": cell("a tabby", "a goldfish")}
    about = {"normalization": normalization, "classes": classes}
    layers = (
        conv(RNG.standard_normal((3, 3, 3, 4)), RNG.standard_normal(4), old, name="conv1", pad=1),
        {"type": "relu", "name": "relu1"},
        {"type": "lrn", "name": "norm1", "param": np.array([5, 1, 1e-4, 0.75])},
        {"type": "pool", "name": "pool1", "method": "max", "pool": 3, "stride": 2, "pad": 0},
        conv(RNG.standard_normal((4, 5, 4, 2)), np.zeros(0), old, name="fc/2"),
        {"type": "dropout", "name": "dropout2", "rate": 0.5},
        {"type": "softmaxloss", "name": "prob"},
    )
    about = about if old else {"meta": about}
    return written(tmp_path / "small.mat", *layers, **about, **others), mean


@pytest.mark.parametrize("old", [False, True])
def test_names_classes_and_what_the_input_is_to_be(tmp_path, old):
    path, mean = small(tmp_path, old=old)
    network = read_matconvnet(path)
    names = [name for name, _ in network.named_children()]
    assert names == ["conv1", "relu1", "norm1", "pool1", "fc_2", "prob"]
    assert network.classes == ("a tabby", "a goldfish")
    assert not network.training
    assert (network.preprocess.size, network.preprocess.scale) == ((9, 11), 255)
    pixels = RNG.uniform(0, 1, (1, 3, 9, 11))
    prepared = network.preprocess(torch.tensor(pixels))
    np.testing.assert_allclose(prepared[0], 255 * pixels[0] - mean.transpose(2, 0, 1), atol=1e-4)
    probabilities = network(prepared.float())
    assert probabilities.shape == (1, 2, 1, 1)
    torch.testing.assert_close(probabilities.sum(), torch.tensor(1.0))


def test_an_average_colour_is_taken_too(tmp_path):
    path, _ = small(tmp_path, mean=np.array([[[123.0, 117.0, 104.0]]]))
    preprocess = read_matconvnet(path).preprocess
    assert preprocess.mean == (123.0, 117.0, 104.0)
    assert preprocess.image_mean is None


def test_an_average_image_must_be_of_the_size_of_images(tmp_path):
    path, _ = small(tmp_path, mean=np.ones((11, 9, 3)))
    with pytest.raises(ValueError, match=r"an average image of 9x11 pixels .*got 11x9"):
        read_matconvnet(path)


def test_an_average_image_tells_the_size_where_the_file_does_not(tmp_path):
    normalization = {"averageImage": RNG.uniform(90, 130, (9, 11, 3))}
    path = written(tmp_path / "a.mat", {"type": "relu"}, normalization=normalization)
    assert read_matconvnet(path).preprocess.size == (9, 11)


def test_a_network_may_lie_in_a_variable(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"net": {"layers": cell({"type": "relu"})}})
    assert [name for name, _ in read_matconvnet(tmp_path / "a.mat").named_children()] == ["relu1"]


def test_awkward_names_are_made_parts_of_a_module(tmp_path):
    layers = [{"type": "relu", "name": name} for name in ("a.b", "forward", "x", "x")]
    network = read_matconvnet(written(tmp_path / "a.mat", *layers))
    assert [name for name, _ in network.named_children()] == ["a_b", "forward_", "x", "x_2"]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"type": "pdist", "name": "far"}, r"layer 1 \('far'\) of .*got 'pdist'"),
        ({"name": "what"}, "a layer without a type"),
        ({"type": "lrn", "param": np.array([5, 1])}, r"expected param = \[N kappa alpha beta\]"),
        ({"type": "pool", "pool": 2, "pad": 2}, "a pad smaller than the window"),
        ({"type": "pool", "method": "sum", "pool": 2}, "the method max or avg; got 'sum'"),
        ({"type": "pool", "stride": 2}, "pool must be at least one"),
        ({"type": "conv", "weights": "none"}, "expected filters"),
        (conv(np.ones((3, 3, 2, 4)), np.ones(3)), "with 3 biases do not fit"),
        (conv(np.ones((3, 3, 2, 4)), np.ones(4), pad=np.ones(3)), "1 or 4 whole numbers for pad"),
        (conv(np.ones((3, 3, 2, 4)), np.ones(4), stride=0.5), "whole numbers for stride"),
    ],
)
def test_unknown_and_broken_layers_are_named(tmp_path, layer, message):
    with pytest.raises(ValueError, match=message):
        read_matconvnet(written(tmp_path / "a.mat", layer))


def test_filters_that_do_not_fit_the_layer_before_are_refused(tmp_path):
    layers = [conv(np.ones((1, 1, 3, 4)), np.ones(4)), conv(np.ones((1, 1, 3, 2)), np.ones(2))]
    with pytest.raises(ValueError, match=r"layer 2 .*1x1x3 with 2 biases do not fit 4 channels"):
        read_matconvnet(written(tmp_path / "a.mat", *layers))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="Name a MatConvNet network"):
        read_matconvnet(tmp_path / "none.mat")
    scipy.io.savemat(tmp_path / "other.mat", {"params": np.ones(3)})
    with pytest.raises(ValueError, match=r"expected a simplenn network.*got params"):
        read_matconvnet(tmp_path / "other.mat")
    path, _ = small(tmp_path)
    whole = path.read_bytes()
    for content in (b"", b"not a file of MATLAB", whole[: len(whole) // 2], whole[:140]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"\.mat"):
            read_matconvnet(path)
    hdf5 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(512)
    path.write_bytes(hdf5)
    with pytest.raises(ValueError, match=r"HDF5\. Save the network with -v7"):
        read_matconvnet(path)
