"""Networks as the authors of the method publish them: MatConvNet's files, layer by layer."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from typing import Any

import numpy as np
import scipy.io
import torch

from repinv_cnn._matconvnet_layers import (
    Convolution,
    Margins,
    Pooling,
    ResponseNormalization,
)
from repinv_cnn.preprocess import Preprocess


class MatConvNetwork(torch.nn.Sequential):
    """A chain of layers, with MatConvNet's names, and what its input is to be.

    Attributes
    ----------
    preprocess : Preprocess
        From images in [0, 1] to what the network takes: its size, 0…255, less the average image.
    classes : tuple of str
        Descriptions of the last layer's channels; empty where the file has none.
    """

    preprocess: Preprocess
    classes: tuple[str, ...]

    def __init__(
        self,
        layers: OrderedDict[str, torch.nn.Module],
        preprocess: Preprocess,
        classes: tuple[str, ...],
    ) -> None:
        super().__init__(layers)
        self.preprocess, self.classes = preprocess, classes


def read_matconvnet(path: str | os.PathLike[str]) -> MatConvNetwork:
    """Read a network of MatConvNet's simplenn format.

    Parameters
    ----------
    path : path-like
        A ``.mat`` file such as ``imagenet-vgg-m.mat``, of version 7 or older.

    Returns
    -------
    MatConvNetwork
        In eval mode, in float32. Layers have the file's names, in letters that Python's names may
        have; those that only matter in training are left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such network, is damaged, or has a layer of an unknown kind, which is named.

    Notes
    -----
    Only numbers and text are read: nothing in a file is ever run. SciPy reads the file; a damaged
    one may, rarely, crash the process there. Both spellings of weights are
    known, ``weights`` and ``filters`` with ``biases``; ``softmaxloss`` becomes a softmax over
    channels. Average pooling counts only what is inside the image, and response normalization
    does not divide α by its depth, as in MatConvNet.

    References
    ----------
    .. [1] A. Vedaldi and K. Lenc, "MatConvNet: convolutional neural networks for MATLAB",
       ACM Multimedia 2015, doi:10.1145/2733373.2807412
    """
    content = _content(path)
    cells = content["layers"]
    input_of, classes = _meta(content, path)
    size = _numbers(input_of.get("imageSize"))
    channels = int(size[2]) if len(size) > 2 else None
    layers: OrderedDict[str, torch.nn.Module] = OrderedDict()
    for number, cell in enumerate(np.ravel(cells), start=1):
        fields = _fields(cell)
        kind, name = _text(fields.get("type")), _text(fields.get("name"))
        label = f"layer {number} ('{name or kind or '?'}') of {os.fspath(path)}"
        if kind == "dropout":
            continue
        layer = _layer(kind, fields, channels, label)
        if isinstance(layer, Convolution):
            channels = layer.out_channels
        layers[_name(name or f"{kind}{number}", layers)] = layer
    preprocess = _preprocess(input_of, path)
    return MatConvNetwork(layers, preprocess, classes).eval()


def _content(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The variables of a file, those of a variable ``net`` where there is one."""
    if not os.path.exists(path):  # noqa: PTH110
        raise FileNotFoundError(f"no file {os.fspath(path)}. Name a MatConvNet network (.mat).")
    try:
        content: dict[str, Any] = dict(scipy.io.loadmat(os.fspath(path)))
    except NotImplementedError as error:
        raise ValueError(
            f"{os.fspath(path)} is a file of MATLAB 7.3, which is HDF5. "
            "Save the network with -v7 in MATLAB."
        ) from error
    except Exception as error:
        raise ValueError(
            f"{os.fspath(path)} cannot be read as a .mat file ({error}). Download it anew."
        ) from error
    if "layers" not in content and "net" in content:
        content = _fields(content["net"])
    cells = content.get("layers")
    if not isinstance(cells, np.ndarray) or cells.dtype != object or not cells.size:
        found = ", ".join(key for key in content if not key.startswith("__")) or "nothing"
        raise ValueError(
            f"expected a simplenn network with a cell array 'layers' in {os.fspath(path)}; got "
            f"{found}. DagNN networks are not read."
        )
    return content


def _fields(value: Any) -> dict[str, Any]:
    """The fields of a struct of one element; none of anything else."""
    names = getattr(getattr(value, "dtype", None), "names", None)
    if not names or np.size(value) != 1:
        return {}
    one = value.item() if isinstance(value, np.ndarray) else value
    return dict(zip(names, one, strict=True))


def _text(value: Any) -> str:
    """A row of characters; '' for anything else."""
    array = np.asarray(value)
    return str(array.item()) if array.dtype.kind == "U" and array.size == 1 else ""


def _numbers(value: Any) -> np.ndarray:
    """Numbers in one row; none for anything else."""
    array = np.asarray(value)
    return array.ravel().astype(np.float64) if array.dtype.kind in "fiub" else np.zeros(0)


def _whole(
    fields: dict[str, Any], key: str, counts: tuple[int, ...], default: int, label: str
) -> Any:
    """So many whole numbers as the last of `counts` says, from as many or a divisor of these."""
    numbers = _numbers(fields.get(key))
    if not numbers.size:
        numbers = np.array([default])
    if numbers.size not in counts or (numbers < 0).any() or (numbers != numbers.round()).any():
        raise ValueError(
            f"{label}: expected {' or '.join(map(str, counts))} whole numbers for {key}; got "
            f"{numbers.tolist()}. The file is damaged, or of another format."
        )
    return tuple(int(n) for n in np.resize(numbers, counts[-1]))


def _layer(kind: str, fields: dict[str, Any], channels: int | None, label: str) -> torch.nn.Module:
    """One layer."""
    if kind == "conv":
        return _convolution(fields, channels, label)
    if kind == "relu":
        leak = _numbers(fields.get("leak"))
        return torch.nn.LeakyReLU(float(leak[0])) if leak.any() else torch.nn.ReLU()
    if kind == "pool":
        return _pooling(fields, label)
    if kind in ("lrn", "normalize"):
        param = _numbers(fields.get("param"))
        if param.size != 4 or param[0] < 1 or param[0] != round(param[0]):
            raise ValueError(
                f"{label}: expected param = [N kappa alpha beta]; got {param.tolist()}. "
                "The file is damaged, or of another format."
            )
        return ResponseNormalization(int(param[0]), *param[1:].tolist())
    if kind in ("softmax", "softmaxloss"):
        return torch.nn.Softmax(dim=1)
    raise ValueError(
        f"{label}: expected conv, relu, pool, lrn, normalize, softmax, softmaxloss or dropout; got "
        f"{kind or 'a layer without a type'!r}. Such networks are not read."
    )


def _convolution(fields: dict[str, Any], channels: int | None, label: str) -> Convolution:
    """A layer of filters (h, w, C / groups, K), the last axes left out where they are one."""
    given = fields.get("weights")
    if given is None:
        given = [fields.get("filters"), fields.get("biases")]
    parts = list(np.ravel(given)) if isinstance(given, np.ndarray) else given
    filters = np.asarray(parts[0]) if parts else np.zeros(0)
    if filters.dtype.kind != "f" or not filters.size or filters.ndim > 4:
        raise ValueError(
            f"{label}: expected filters (h, w, C, K); got {filters.dtype} of shape "
            f"{filters.shape}. The file is damaged, or of another format."
        )
    filters = filters.reshape(*filters.shape, *(1,) * (4 - filters.ndim))
    high, wide, depth, count = filters.shape
    biases = _numbers(parts[1]) if len(parts) > 1 else np.zeros(0)
    groups = 1 if channels is None else channels // depth
    fits = channels in (None, depth * groups) and groups > 0 and count % groups == 0
    if not fits or biases.size not in (0, count):
        raise ValueError(
            f"{label}: {count} filters of {high}x{wide}x{depth} with {biases.size} biases do not "
            f"fit {channels} channels. The file is damaged, or of another format."
        )
    return Convolution(
        torch.tensor(np.ascontiguousarray(filters.transpose(3, 2, 0, 1)), dtype=torch.float32),
        torch.tensor(biases, dtype=torch.float32) if biases.size else None,
        groups=groups,
        stride=_positive(fields, "stride", 1, label),
        dilation=_positive(fields, "dilate", 1, label),
        margins=_whole(fields, "pad", (1, 4), 0, label),
    )


def _positive(fields: dict[str, Any], key: str, default: int, label: str) -> tuple[int, int]:
    """Two whole numbers (y, x) that are not zero."""
    down, across = _whole(fields, key, (1, 2), default, label)
    if min(down, across) < 1:
        raise ValueError(
            f"{label}: {key} must be at least one; got {(down, across)}. The file is damaged."
        )
    return down, across


def _pooling(fields: dict[str, Any], label: str) -> Pooling:
    """A layer of maxima or means."""
    method = _text(fields.get("method")) or "max"
    window = _positive(fields, "pool", 0, label)
    margins: Margins = _whole(fields, "pad", (1, 4), 0, label)
    if method not in ("max", "avg"):
        raise ValueError(f"{label}: expected the method max or avg; got {method!r}.")
    if max(margins[:2]) >= window[0] or max(margins[2:]) >= window[1]:
        raise ValueError(
            f"{label}: expected a pad smaller than the window {window}; got {margins}. "
            "The file is damaged."
        )
    return Pooling(window, _positive(fields, "stride", 1, label), margins, method == "avg")


def _name(name: str, taken: OrderedDict[str, torch.nn.Module]) -> str:
    """A name that torch takes for a part, and that no other part has."""
    clean = re.sub(r"\W", "_", name)
    if hasattr(torch.nn.Sequential, clean) or clean in ("preprocess", "classes", "training"):
        clean += "_"
    unique, number = clean, 2
    while unique in taken:
        unique, number = f"{clean}_{number}", number + 1
    return unique


def _meta(
    content: dict[str, Any], path: str | os.PathLike[str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the input is to be, and the classes' descriptions, in the old and the new place."""
    meta = _fields(content.get("meta"))
    places = [content, meta]
    normalization = next(
        (found for place in places if (found := _fields(place.get("normalization")))), {}
    )
    described = next((found for place in places if (found := _fields(place.get("classes")))), {})
    names = np.ravel(np.asarray(described.get("description", []), dtype=object))
    return normalization, tuple(_text(name) for name in names)


def _preprocess(fields: dict[str, Any], path: str | os.PathLike[str]) -> Preprocess:
    """The input that a network was trained on: RGB from 0 to 255, less an average image."""
    size = _numbers(fields.get("imageSize"))
    average = np.asarray(fields.get("averageImage", np.zeros(1)))
    shape = (int(size[0]), int(size[1])) if size.size >= 2 else None
    if average.dtype.kind not in "fiu" or average.ndim > 3:
        raise ValueError(
            f"expected an average image of numbers (H, W, C) in {os.fspath(path)}; got "
            f"{average.dtype} of shape {average.shape}. The file is damaged."
        )
    if average.size <= 4:
        means = tuple(float(value) for value in average.ravel()) or (0.0,)
        return Preprocess(mean=means, std=(1.0,) * len(means), size=shape, scale=255.0)
    image = average.reshape(*average.shape, *(1,) * (3 - average.ndim)).transpose(2, 0, 1)
    if shape not in (None, image.shape[1:]):
        raise ValueError(
            f"expected an average image of {size[0]:g}x{size[1]:g} pixels in {os.fspath(path)}; "
            f"got {image.shape[1]}x{image.shape[2]}. The file is damaged."
        )
    pixels = torch.tensor(np.ascontiguousarray(image), dtype=torch.float32)
    channels = (1.0,) * len(pixels)
    return Preprocess(
        mean=(0.0,) * len(pixels),
        std=channels,
        size=(image.shape[1], image.shape[2]),
        scale=255.0,
        image_mean=pixels,
    )
