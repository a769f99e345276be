"""Restorer: from the mean and spread of pre-images to a photograph."""

from __future__ import annotations

import functools
import itertools
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.io import serialization, shipped

#: SHA-256 of the files that ship, by name; `scripts/learn_restorers.py` prints them.
CHECKSUMS = {
    "hog-bilinear": "e5c96c0111af1694719390c208410fc3129965061cb468f9d2aeae0c090f20ab",
    "hog-hard": "2b5c83a03e56995f8bb32e87ed76e09fbe475b918d49aef5958599974301df66",
    "dsift": "97d5bb037144b2e2ba3d680fe4a06637bccc2a1145516c1400232e4b5742639e",
    "bovw": "ea65b6e1782c9ee7fde23dec2556c820a0732ced2edd85c3f37359545f474c43",
}


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
    """A small convolutional network from the mean and spread of pre-images to a photograph.

    Parameters
    ----------
    kernels : tuple of ndarray, shape (3, 3, inputs, outputs)
        Of all convolutions, first to last.
    biases : tuple of ndarray, shape (outputs,)
        Of each layer.
    unit : int
        Side of the squares of pixels that the network takes as one position.
    cell : int
        Side of the cells whose energies it estimates; a multiple of `unit`.
    learned_on : str
        Whose pre-images.

    See Also
    --------
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.
    repinv_cnn.learn_restorer : Learn what photographs look like whose pre-images under an encoder
        look so.

    Notes
    -----
    Structure common to pre-images from several starts is determined by the features, and what
    differs is undetermined: their mean and spread show which is which. The network sees images
    alone, no features, and so serves images of any size, and other encoders with a similar null
    space.

    Of all layers but the last, negative outputs are cut off; all but the first and last change
    what they are given, and the last changes the mean. Its last channel is the logarithm of the
    energy of the image gradient at every position. The network is run on the images in all eight
    symmetries of the square, and the mean of its outputs is returned.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> restorer = repinv.Restorer.pretrained(repinv.HOG.skimage())
    >>> several = np.random.default_rng(0).random((1, 4, 1, 32, 48), dtype=np.float32)
    >>> image, log_energy = restorer(*restorer.averaged(several))
    >>> image.shape, log_energy.shape
    ((1, 1, 32, 48), (1, 1, 4, 6))
    """

    kernels: tuple[Any, ...]
    biases: tuple[Any, ...]
    unit: int
    cell: int
    learned_on: str = ""

    def __post_init__(self) -> None:
        for name in ("kernels", "biases"):
            arrays = tuple(np.asarray(a, dtype=np.float32) for a in getattr(self, name))
            object.__setattr__(self, name, arrays)
        shapes = [(*kernel.shape, *bias.shape) for kernel, bias in self._layers()]
        fits = all(len(s) == 5 and s[:2] == (3, 3) and s[3] == s[4] for s in shapes)
        follows = fits and all(a[3] == b[2] for a, b in itertools.pairwise(shapes))
        inner = follows and all(s[2] == s[3] for s in shapes[1:-1])
        ends = inner and (shapes[0][2], shapes[-1][3]) == (2 * self.unit**2, self.unit**2 + 1)
        if not ends or self.cell % self.unit or len(shapes) < 2:
            raise ValueError(
                "expected kernels (3, 3, inputs, outputs) of a network from 2·unit² channels to "
                f"unit² + 1, each with its bias; got {shapes}, unit {self.unit}, cell {self.cell}."
            )

    def _layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return list(zip(self.kernels, self.biases, strict=True))

    def __call__(self, mean: Array, spread: Array, /) -> tuple[Array, Array]:
        """Restored images, and the logarithms of their gradient energies.

        Parameters
        ----------
        mean, spread : array, shape (N, 1, H, W)
            As `averaged` returns them.

        Returns
        -------
        image : array, shape (N, 1, H, W)
            At any brightness and contrast.
        log_energy : array, shape (N, 1, ⌊H / cell⌋, ⌊W / cell⌋)
            Up to a constant, as `CellEnergy` takes them.
        """
        total, log_energy = self._once(mean, spread)
        turns = list(itertools.product((False, True), range(4)))
        for turn in turns[1:]:
            image, _ = self._once(_turned(mean, *turn), _turned(spread, *turn))
            total = total + _turned_back(image, *turn)
        return total / len(turns), log_energy

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

    def _once(self, mean: Array, spread: Array) -> tuple[Array, Array]:
        """What the network makes of images as they lie."""
        xp = array_namespace(mean)
        out = xp.concat([self._positions(mean), self._positions(spread)], axis=-1)
        last = len(self.kernels) - 1
        for number, (kernel, bias) in enumerate(self._layers()):
            weights = [xp.asarray(a, dtype=mean.dtype, device=device(mean)) for a in (kernel, bias)]
            found = _convolved(out, *weights)
            if number < last:
                found = found * (found > 0)
            out = found if number in (0, last) else out + found
        pixels = self.unit**2
        return mean + self._image(out[..., :pixels], mean.shape), self._energy(out, mean.shape)

    def _image(self, positions: Array, shape: tuple[int, ...]) -> Array:
        """Positions (N, h, w, unit²) as images: undoes `_positions`."""
        xp, unit = array_namespace(positions), self.unit
        count, down, across = positions.shape[:3]
        cut = xp.reshape(positions, (count, down, across, unit, unit))
        image = xp.reshape(
            xp.permute_dims(cut, (0, 1, 3, 2, 4)), (count, 1, down * unit, across * unit)
        )
        return image[..., : shape[2], : shape[3]]

    def _energy(self, out: Array, shape: tuple[int, ...]) -> Array:
        """Logarithms of the mean energies of cells; the last channel has those of positions."""
        xp, side = array_namespace(out), self.cell // self.unit
        down, across = shape[2] // self.cell, shape[3] // self.cell
        energy = xp.exp(out[:, : down * side, : across * side, -1])
        cells = xp.reshape(energy, (shape[0], 1, down, side, across, side))
        return xp.log(xp.mean(xp.mean(cells, axis=5), axis=3))

    def _positions(self, x: Array) -> Array:
        """Images (N, 1, H, W) as positions (N, h, w, unit²); the last line repeated as needed."""
        xp = array_namespace(x)
        unit = self.unit
        for axis in (-2, -1):
            short = -x.shape[axis] % unit
            if short:
                last = x[..., -1:, :] if axis == -2 else x[..., -1:]
                x = xp.concat([x, *[last] * short], axis=axis)
        count, _, height, width = x.shape
        cut = xp.reshape(x, (count, height // unit, unit, width // unit, unit))
        cut = xp.permute_dims(cut, (0, 1, 3, 2, 4))
        return xp.reshape(cut, (count, height // unit, width // unit, unit * unit))

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
            If the file is not a restorer, is damaged, or holds pickled objects.
        """
        header, _ = serialization.load(path, kind="restorer")
        found = serialization.restore(header["restorer"])
        if not isinstance(found, cls):
            raise ValueError(f"{path} is not a restorer saved by repinv.")
        return found


def _convolved(x: Array, kernel: Array, bias: Array) -> Array:
    """Positions (N, h, w, inputs) under a kernel (3, 3, inputs, outputs), zero outside."""
    xp = array_namespace(x)
    out = xp.zeros((*x.shape[:-1], kernel.shape[-1]), dtype=x.dtype, device=device(x)) + bias
    for i, (there_y, here_y) in enumerate(_shifted(x.shape[1])):
        for j, (there_x, here_x) in enumerate(_shifted(x.shape[2])):
            part = xp.matmul(x[:, there_y, there_x, :], kernel[i, j, ...])
            out[:, here_y, here_x, :] += part
    return out


def _shifted(length: int) -> list[tuple[slice, slice]]:
    """Parts of an axis that a shift by -1, 0 and 1 moves, and where to."""
    return [
        (slice(0, length - 1), slice(1, length)),
        (slice(0, length), slice(0, length)),
        (slice(1, length), slice(0, length - 1)),
    ]


def _turned(x: Array, mirror: bool, quarters: int) -> Array:
    """Images mirrored, and then turned by quarters of a turn."""
    xp = array_namespace(x)
    if mirror:
        x = xp.flip(x, axis=-1)
    if quarters % 2:
        x = xp.flip(xp.matrix_transpose(x), axis=-2 if quarters == 1 else -1)
    return xp.flip(x, axis=(-2, -1)) if quarters == 2 else x


def _turned_back(x: Array, mirror: bool, quarters: int) -> Array:
    """Undoes `_turned`."""
    x = _turned(x, False, -quarters % 4)
    return array_namespace(x).flip(x, axis=-1) if mirror else x


@functools.cache
def _read(name: str) -> Restorer:
    return shipped.loaded(
        Restorer.load, "repinv.search", "restorers", f"{name}.npz", CHECKSUMS[name]
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


def chosen(prior: str | Restorer | None, encoder: Encoder) -> Restorer | None:
    """The restorer that a user names.

    Raises
    ------
    TypeError, ValueError
        If it is none, or none ships for the encoder.
    """
    if prior is None or isinstance(prior, Restorer):
        return prior
    if prior != "learned":
        raise ValueError(
            f"prior must be 'learned', a repinv.Restorer or None; got {prior!r}. Terms of the "
            "energy are given as priors."
        )
    return Restorer.pretrained(encoder)


def check_use(restorer: Restorer | None, seeds: int, channels: int, starts_given: bool) -> None:
    """Raise ValueError if a run cannot average its starts, or restore their average."""
    if starts_given and seeds > 1:
        raise ValueError(
            f"{seeds} seeds average what several random starts lead to; from an initial image all "
            "would lead to the same. Leave out initial, or seeds and prior."
        )
    if restorer is not None and seeds == 1:
        raise ValueError("a prior restores the average of several starts; give seeds >= 2.")
    if restorer is not None and channels != 1:
        raise ValueError(
            f"restorers are trained on gray images; this one has {channels} channels. Leave out "
            "prior, and take seeds alone."
        )
