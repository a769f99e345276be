"""A small trained network that ships with the package, and images of its digits."""

from __future__ import annotations

import hashlib
import importlib.resources
import io
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn

#: SHA-256 of the file that `scripts/train_digits.py` wrote.
CHECKSUM = "c5bccc8ad9950157dcc3a8b8b0f384b74fe0982785d248d69de9bff08ec46b3d"
#: Sides (pixels) of the images that the network takes, and of the dataset's.
SIDE, ORIGINAL_SIDE = 32, 8


class DigitNet(nn.Sequential):
    """Logits (N, 10) of images of digits (N, 1, 32, 32), white on black, in [0, 1].

    The layers are ``conv1``, ``relu1``, ``conv2``, ``relu2``, ``conv3``, ``relu3``, ``flatten``,
    ``fc``, ``relu4`` and ``logits``. Convolutions have strides where others pool by maxima: every
    pixel then has a part in the gradient of a feature.

    Examples
    --------
    >>> import torch
    >>> DigitNet().conv3(torch.zeros(1, 32, 8, 8)).shape
    torch.Size([1, 48, 4, 4])
    """

    def __init__(self) -> None:
        layers: dict[str, nn.Module] = {
            "conv1": nn.Conv2d(1, 16, 5, stride=2, padding=2),
            "relu1": nn.ReLU(),
            "conv2": nn.Conv2d(16, 32, 5, stride=2, padding=2),
            "relu2": nn.ReLU(),
            "conv3": nn.Conv2d(32, 48, 3, stride=2, padding=1),
            "relu3": nn.ReLU(),
            "flatten": nn.Flatten(),
            "fc": nn.Linear(48 * 4 * 4, 48),
            "relu4": nn.ReLU(),
            "logits": nn.Linear(48, 10),
        }
        super().__init__(OrderedDict(layers))


def digits_network(path: str | Path | None = None) -> DigitNet:
    """A small trained classifier of handwritten digits, in evaluation mode.

    Parameters
    ----------
    path : path, optional
        File of the weights; by default the one that ships with the package.

    Returns
    -------
    net : nn.Module
        Maps images (N, 1, 32, 32), white on black, in [0, 1], to logits (N, 10); float32. Its
        layers are named ``conv1``, ``relu1``, ``conv2``, ``relu2``, ``conv3``, ``relu3``, ``fc``,
        ``relu4`` and ``logits``.

    Raises
    ------
    ValueError
        If the file is missing, damaged, or another one.

    See Also
    --------
    repinv_cnn.digit_images : The handwritten digits of scikit-learn at the size that the digit
        network takes.
    repinv_cnn.from_digits : A layer of the network of digits that ships with the package.

    Notes
    -----
    The file holds arrays without pickle and is recognized by its checksum. The README beside it
    says what the network was trained on, and how.

    Examples
    --------
    >>> import repinv_cnn
    >>> net = repinv_cnn.digits_network()
    >>> encoder = repinv_cnn.TorchEncoder(net, layer="conv2", channels=1)
    >>> encoder.feature_shape((1, 32, 32))
    (32, 8, 8)
    """
    file = importlib.resources.files("repinv_cnn") / "weights" / "digits.npz"
    source = file if path is None else Path(path)
    try:
        content = source.read_bytes()
    except OSError as error:
        raise ValueError(
            f"expected the weights {source}; they cannot be read ({error}). Install repinv anew."
        ) from error
    if hashlib.sha256(content).hexdigest() != CHECKSUM:
        raise ValueError(
            f"expected the weights of the digit network in {source}; the file is damaged or has "
            "been changed. Install repinv anew."
        )
    net = DigitNet()
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        net.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    return net.eval()


def digit_images(*, train: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The handwritten digits of scikit-learn at the size that the digit network takes.

    Parameters
    ----------
    train : bool
        The images that the network was trained on, instead of the quarter held out.

    Returns
    -------
    images : array, shape (N, 32, 32), float32, in [0, 1]
        White on black, 8x8 pixels made larger bicubically.
    labels : array, shape (N,), int64
        The digits they show.

    See Also
    --------
    repinv_cnn.digits_network : A small trained classifier of handwritten digits, in evaluation
        mode.
    repinv_cnn.from_digits : A layer of the network of digits that ships with the package.

    Examples
    --------
    >>> import repinv_cnn
    >>> images, labels = repinv_cnn.digit_images()
    >>> images.shape, labels[:3].tolist()
    ((450, 32, 32), [2, 0, 4])
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    split = train_test_split(pixels, labels, test_size=0.25, random_state=0, stratify=labels)
    chosen, named = (split[0], split[2]) if train else (split[1], split[3])
    small = torch.from_numpy(chosen.reshape(-1, 1, ORIGINAL_SIDE, ORIGINAL_SIDE) / 16)
    large = nn.functional.interpolate(small, (SIDE, SIDE), mode="bicubic", align_corners=False)
    images: np.ndarray = large[:, 0].clamp(0, 1).numpy().astype(np.float32)
    return images, np.asarray(named, dtype=np.int64)
