"""What inverters have in common: features to a Result, files, and windows to learn from."""

from __future__ import annotations

import dataclasses
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from tqdm.auto import tqdm

from repinv._core.typing import Array
from repinv.encoders._parts import array_fields, validation
from repinv.encoders.base import Encoder
from repinv.encoders.sparse import cell_windows
from repinv.energy.losses import SquaredError
from repinv.inverters.cell_maps import view
from repinv.io import serialization
from repinv.io.image import as_batch, as_unit, to_gray
from repinv.io.streams import Images, stream, total
from repinv.search.feature_layout import read
from repinv.search.finalize import finished
from repinv.search.result import Result
from repinv.solvers.minimize import to_host

_I = TypeVar("_I", bound="Inverter")
#: Numbers of a window that may not be exceeded where its size is left to the inverter.
_WIDEST = 4096
#: Features above which single precision has no room for squared errors.
_HUGE = 1e12


class Inverter(ABC):
    """Finds images of features by what it has learned, and not by minimizing an energy.

    Attributes
    ----------
    encoder : Encoder
        Whose features it inverts, of gray images.

    See Also
    --------
    repinv.inverters.DirectOptimization : The image in a basis of natural images whose features are
        nearest, without other priors.
    repinv.inverters.ExemplarLDA : For each window the mean patch of what a detector trained on that
        window alone finds best.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Examples
    --------
    >>> import repinv, skimage
    >>> inverter = repinv.inverters.Ridge.pretrained()
    >>> image = skimage.data.camera()[::8, ::8]
    >>> inverter.invert(inverter.encoder(image), shape=(64, 64)).image.shape
    (64, 64)
    """

    encoder: Encoder

    @abstractmethod
    def _image(self, features: np.ndarray, image_shape: tuple[int, int, int]) -> np.ndarray:
        """An image (H, W) of any brightness and contrast for features in the encoder's layout."""

    def invert(
        self,
        features: Array,
        shape: tuple[int, ...] | None = None,
        *,
        layout: str | None = None,
    ) -> Result:
        """An image whose features are near to given ones.

        Parameters
        ----------
        features : array
            In the layout in which the mirrored library returns them, or flat; or a stack of such,
            of several images.
        shape : (int, int), optional
            (H, W) of the image; by default the smallest that fits.
        layout : {"channels_first", "channels_last"}, optional
            Where channels stand, if the shape of the features leaves it open.

        Returns
        -------
        result : Result
            With the error of the image returned, at a contrast that is natural where the encoder
            leaves it open.

        Raises
        ------
        TypeError, ValueError
            If the features are not the encoder's, or there are too few of them.
        """
        began = time.perf_counter()
        reading = read(features, self.encoder, shape, layout)
        image_shape = reading.size
        if image_shape[0] != 1:
            raise ValueError(
                f"inverters find gray images; shape={shape} has {image_shape[0]} channels."
            )
        target = to_host(reading.features)
        # Squares of what is huge need room.
        huge = float(np.max(np.abs(target))) > _HUGE
        dtype = np.float64 if huge else np.result_type(target, np.float32)
        target = target.astype(dtype, copy=False)
        found = [cell_windows.within(self._image(one, image_shape)) for one in target]
        x = self.encoder.asarray(np.stack(found)[:, None].astype(dtype))
        loss = SquaredError(self.encoder.asarray(target))
        images, encoded, scores = finished(self.encoder, x, loss)
        return Result(
            to_host(images)[:, 0],
            to_host(scores["error"]),
            encoded,
            {},
            0,
            1,
            time.perf_counter() - began,
            "learned",
            notes=reading.notes,
            encoder=self.encoder,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz file without pickle; it appears whole or not at all.

        Raises
        ------
        TypeError
            If the encoder is not one of repinv's own.
        """
        serialization.save(path, {"kind": "inverter", "inverter": serialization.describe(self)}, {})

    @classmethod
    def load(cls: type[_I], path: str | os.PathLike[str]) -> _I:
        """Read what `save` wrote; `Inverter.load` reads any of them.

        Raises
        ------
        ValueError
            If the file is something else, is damaged, or holds another inverter.
        """
        found = serialization.held(path, "inverter")
        if not isinstance(found, cls):
            raise ValueError(f"expected a {cls.__name__} in {path}; got a {type(found).__name__}.")
        return found

    def __eq__(self, other: object) -> bool:
        return array_fields.same(self, other)

    def __hash__(self) -> int:
        return array_fields.hashed(self)


class Windowed(Inverter):
    """Inverters that find a patch for each window of cells; overlapping patches are averaged."""

    side: int

    @abstractmethod
    def _patches(self, windows: np.ndarray) -> np.ndarray:
        """Patches (M, p²) for windows (M, side² · D)."""

    @property
    @abstractmethod
    def _width(self) -> int:
        """Numbers of a window."""

    def _image(self, features: np.ndarray, image_shape: tuple[int, int, int]) -> np.ndarray:
        cells, to_cells = view(self.encoder, image_shape)
        if min(cells.rows, cells.columns) < self.side:
            raise ValueError(
                f"an image of {image_shape[1]}x{image_shape[2]} pixels has {cells.rows}x"
                f"{cells.columns} cells; windows need {self.side} along each side. Give a "
                "larger one."
            )
        windows = cell_windows.windows(to_cells(features), self.side)
        if windows.shape[1] != self._width:
            raise ValueError(
                f"windows have {windows.shape[1]} numbers; this {type(self).__name__} was fitted "
                f"to {self._width}. Use the encoder that it was fitted with."
            )
        return cell_windows.together(self._patches(windows), cells, self.side, image_shape[1:])


def fields(one: Any, arrays: dict[str, int]) -> None:
    """Replace array fields by private copies of so many axes, in `__post_init__`."""
    for name, ndim in arrays.items():
        object.__setattr__(one, name, array_fields.private(name, getattr(one, name), ndim))
    if "side" in {f.name for f in dataclasses.fields(one)}:
        object.__setattr__(one, "side", validation.whole("side", one.side))


def gray(image: Any) -> np.ndarray:
    """A gray image (H, W) in [0, 1] of what a user gives."""
    unit = as_unit(image)
    return to_gray(unit) if unit.ndim == 3 else unit


def pairs(
    images: Images, encoder: Encoder, side: int | None, most: int, seed: int, progress: bool
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """The side of windows; and of each image in turn windows (M, side² · D) and patches (M, p²).

    Raises
    ------
    TypeError, ValueError
        If the encoder has no map of cells, or an image is none.
    """
    most = validation.whole("windows_per_image", most)
    if encoder.channels not in (None, 1):
        raise ValueError(
            f"inverters find gray images; the encoder takes {encoder.channels} channels."
        )
    chosen_side = None if side is None else validation.whole("window", side)
    bar = tqdm(stream(images), total=total(images), disable=not progress, unit="image")
    for number, given in enumerate(bar):
        image = gray(given)
        cells, to_cells = view(encoder, (1, *image.shape))
        x = as_batch(image, precision=encoder.precision, channels=encoder.channels)
        found = to_cells(np.asarray(to_host(encoder.encode(encoder.asarray(x))))[0])
        if chosen_side is None:
            fit = [n for n in (5, 3) if n * n * found.shape[2] <= _WIDEST]
            chosen_side = next((n for n in fit if n <= min(found.shape[:2])), 1)
        down, across = cells.windows(chosen_side)
        if not down * across:
            continue
        rng = np.random.default_rng((seed, number))
        chosen = rng.permutation(down * across)[:most]
        places = np.stack(np.divmod(chosen, across), axis=1)
        patches = cell_windows.patches(image, cells, chosen_side, places)
        yield chosen_side, cell_windows.windows(found, chosen_side)[chosen], patches


def check_enough(found: int, least: int) -> None:
    """Raise ValueError if there is too little to learn from."""
    if found < least:
        raise ValueError(
            f"expected at least {least} windows to learn from; got {found}. Give more or larger "
            "images."
        )
