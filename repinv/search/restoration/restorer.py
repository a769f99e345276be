"""Restorer: from rough pre-images and the features that they have to a photograph."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.io import serialization, shipped
from repinv.search.restoration import grid, network

#: SHA-256 of the files that ship, by name; `scripts/learn_restorers.py` prints them.
CHECKSUMS = {
    "hog": "af172ec95e3324aec9779c62be377f9791080f2a66ff598f4863bd495b91af2a",
    "hog-unsigned": "6cf8243009e4a1c1c1046b24b2dcc52bea5f7df9ebe9b39d1a9e83307db451b0",
    "dsift": "2b508073c34ac1e19236c223a87ba1d497af53e9ac08cadaa1a77a2cc3f350a6",
    "bovw": "ed5cb9cc1ca20fa09a58f2a60cc4d1b6ee9ee00da624581f83eec0478ed816da",
}
#: The one that chooses what is light.
WITHOUT_SIGNS = "hog-unsigned"
#: What a result says of a run whose stages have no place for it.
UNUSED = (
    "the prior was not used: runs with a solver or transforms of your own, or of features that do "
    "not tell light from dark by polarity=None, an image, or much that is flat, restore nothing"
)


def averaged(images: Array, /) -> tuple[Array, Array]:
    """Mean of several images of one scene at equal contrast, and their standard deviation.

    Parameters
    ----------
    images : array, shape (N, K, C, H, W)
        K images of each scene.

    Returns
    -------
    mean, spread : array, shape (N, C, H, W)
        Of images at zero mean and unit standard deviation. Where images agree the mean has
        contrast; where they do not, it fades.
    """
    xp = array_namespace(images)
    centred = images - xp.mean(images, axis=(2, 3, 4), keepdims=True)
    deviation = xp.sqrt(xp.mean(centred * centred, axis=(2, 3, 4), keepdims=True))
    unit = centred / xp.where(deviation > 0, deviation, xp.ones_like(deviation))
    return xp.mean(unit, axis=1), xp.std(unit, axis=1)


@dataclass(frozen=True, eq=False)
class Restorer:
    """A small convolutional network from rough pre-images and their target to a photograph.

    Parameters
    ----------
    kernels : tuple of ndarray, shape (side, side, inputs, outputs)
        Of the layers of the network, in the order of `repinv.search.restoration.network.LAYERS`.
    biases : tuple of ndarray, shape (outputs,)
        Of each layer.
    offset, scale : ndarray, shape (D,)
        Mean and deviation of each entry of the features that it was trained with.
    learned_on : str
        Whose pre-images.

    See Also
    --------
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.
    repinv_cnn.learn_restorer : Learn what photographs look like whose pre-images under an encoder
        look so.

    Notes
    -----
    The network sees the mean of the pre-images that one or several starts lead to, their standard
    deviation, which shows what features leave undetermined, and the features that were inverted, on
    a grid of 8×8 pixels. What it returns is added to the mean. It holds nothing of the size of an
    image.

    It has residual layers of 3×3 kernels at 4, 8 and 16 pixels a position; of all layers but the
    last, negative outputs are cut off.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> hog = repinv.HOG.vlfeat()
    >>> restorer = repinv.Restorer.pretrained(hog)
    >>> image = np.random.default_rng(0).random((1, 1, 32, 48), dtype=np.float32)
    >>> vectors = restorer.vectors(hog, hog.encode(image), (32, 48))
    >>> restorer(*restorer.averaged(image[:, None]), vectors).shape
    (1, 1, 32, 48)
    """

    kernels: tuple[Any, ...]
    biases: tuple[Any, ...]
    offset: Any
    scale: Any
    learned_on: str = ""

    def __post_init__(self) -> None:
        for name in ("kernels", "biases"):
            arrays = tuple(np.asarray(a, dtype=np.float32) for a in getattr(self, name))
            object.__setattr__(self, name, arrays)
        for name in ("offset", "scale"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float32))
        network.check(self.kernels, self.biases, len(self.offset), len(self.scale))

    def __call__(self, mean: Array, spread: Array, vectors: Array, /) -> Array:
        """Restored images.

        Parameters
        ----------
        mean, spread : array, shape (N, 1, H, W)
            As `averaged` returns them.
        vectors : array, shape (N, D, h, w)
            As `vectors` returns them; of one image for all where N is 1.

        Returns
        -------
        image : array, shape (N, 1, H, W)
            At any brightness and contrast.
        """
        xp = array_namespace(mean)
        height, width = mean.shape[2:]
        padded = [_padded(x, network.COARSE) for x in (mean, spread)]
        given = xp.astype(vectors, mean.dtype)
        if given.shape[0] != mean.shape[0]:
            given = xp.concat([given] * mean.shape[0])
        change = network.change(self.kernels, self.biases, padded[0], padded[1], given)
        return mean + change[..., :height, :width]

    def vectors(self, encoder: Encoder, features: Array, size: tuple[int, int], /) -> np.ndarray:
        """Features of images on the grid of the network, in units of their deviation.

        Parameters
        ----------
        encoder : Encoder
            Whose features these are.
        features : array, shape (N, *F)
            Of N images of one size.
        size : tuple of int
            (H, W) of the images.

        Returns
        -------
        vectors : ndarray, shape (N, D, h, w), float32
            Zero where there is none.

        Raises
        ------
        ValueError
            If these are no local features, or others than the restorer was trained with.
        """
        found = self.on_grid(encoder, features, size)
        if found.shape[1] != len(self.offset):
            raise ValueError(
                f"the restorer was trained with {len(self.offset)} numbers at every place, for "
                f"{self.learned_on or 'another encoder'}; this encoder has {found.shape[1]}. Learn "
                "one for it with repinv_cnn.learn_restorer, or leave prior out."
            )
        return self.in_units(found, self.offset, self.scale)

    #: Local features of images on the grid of the network, as the encoder has them.
    on_grid = staticmethod(grid.vectors)

    #: What `on_grid` returns in units of its deviation in training.
    in_units = staticmethod(grid.in_units)

    #: The two arrays that a restorer takes, of K images (N, K, C, H, W) of each scene.
    averaged = staticmethod(averaged)

    @staticmethod
    def pretrained(encoder: Encoder) -> Restorer:
        """The restorer that ships for the pre-images of an encoder.

        Raises
        ------
        ValueError
            If there is none for encoders of this kind, or its file is missing or damaged.
        """
        return _pretrained(encoder)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz file without pickle, in half precision."""
        description = serialization.describe(self)
        for name in ("kernels", "biases"):
            halves = tuple(a.astype(np.float16) for a in getattr(self, name))
            description["fields"][name] = serialization.describe(halves)
        serialization.save(path, {"kind": "restorer", "restorer": description}, {})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Restorer:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            If the file is not a restorer, is damaged, or holds pickled objects; or if it was
            written by version 0.2 or before, whose networks were others.
        """
        header, _ = serialization.load(path, kind="restorer")
        if "unit" in header["restorer"].get("fields", {}):
            raise ValueError(
                f"{path} holds a network of version 0.1 or 0.2, which knew no features. Learn it "
                "again with repinv_cnn.learn_restorer."
            )
        found = serialization.restore(header["restorer"])
        if not isinstance(found, cls):
            raise ValueError(f"{path} is not a restorer saved by repinv.")
        return found


def _padded(x: Array, side: int) -> Array:
    """Images (N, C, H, W) up to multiples of a side, the last line repeated."""
    xp = array_namespace(x)
    for axis in (-2, -1):
        short = -x.shape[axis] % side
        if short:
            last = x[..., -1:, :] if axis == -2 else x[..., -1:]
            x = xp.concat([x, *[last] * short], axis=axis)
    return x


@functools.cache
def _read(name: str) -> Restorer:
    return shipped.loaded(
        Restorer.load, "repinv.search.restoration", "weights", f"{name}.npz", CHECKSUMS[name]
    )


def _pretrained(encoder: Encoder) -> Restorer:
    name = encoder.restorer
    if name is None:
        raise ValueError(
            f"no restorer ships for {type(encoder).__name__}: those that do were trained on "
            f"{', '.join(sorted(CHECKSUMS))}. Learn one with repinv_cnn.learn_restorer, or take "
            "seeds alone."
        )
    if name not in CHECKSUMS:
        raise ValueError(
            f"{type(encoder).__name__} names the restorer {name!r}; those that ship are "
            f"{', '.join(sorted(CHECKSUMS))}."
        )
    return _read(name)


def chosen(prior: str | os.PathLike[str] | Restorer | None, encoder: Encoder) -> Restorer | None:
    """The restorer that a user names: the one that ships, one of a file, or one that is given.

    Raises
    ------
    TypeError, ValueError
        If it is none, or none ships for the encoder.
    """
    if prior is None or isinstance(prior, Restorer):
        return prior
    if prior == "learned":
        return Restorer.pretrained(encoder)
    if isinstance(prior, str | os.PathLike) and os.fspath(prior).endswith(".npz"):
        return Restorer.load(prior)
    raise ValueError(
        f"prior must be 'learned', a repinv.Restorer, the .npz file of one, or None; got "
        f"{prior!r}. Terms of the energy are given as priors."
    )


def chooser_of_polarity(encoder: Encoder) -> Restorer | None:
    """The restorer that ships for an encoder which does not tell light from dark, if any."""
    return Restorer.pretrained(encoder) if encoder.restorer == WITHOUT_SIGNS else None
