"""Representations that the page offers: their options, and the expression that options spell."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from repinv.encoders import expressions

#: Sides (pixels) of images that the network of digits takes.
DIGIT_SIDE = 32


@dataclass(frozen=True)
class Option:
    """One option of a representation, as the page offers it.

    Parameters
    ----------
    name : str
        Unique within the representation.
    label : str
    values : tuple
        What can be chosen.
    default : object
        One of them.
    """

    name: str
    label: str
    values: tuple[Any, ...]
    default: Any


@dataclass(frozen=True)
class Representation:
    """A kind of encoder, and what can be chosen about it.

    Parameters
    ----------
    flavour : str
        As the command line names it.
    label : str
    options : tuple of Option
    arguments : callable
        Maps chosen values by name, and the (height, width) of the image, to arguments of the
        flavour's constructor. By default the values themselves.
    module : str or None
        Without which it is not offered.
    """

    flavour: str
    label: str
    options: tuple[Option, ...]
    arguments: Callable[[Mapping[str, Any], tuple[int, int]], dict[str, Any]] = (
        lambda chosen, shape: dict(chosen)
    )
    module: str | None = None

    def defaults(self) -> dict[str, Any]:
        """The default of every option."""
        return {option.name: option.default for option in self.options}

    def expression(self, chosen: Mapping[str, Any], shape: tuple[int, int]) -> str:
        """The encoder expression of chosen values, without what is the flavour's own default.

        Parameters
        ----------
        chosen : mapping of str to object
        shape : (int, int)
            Height and width of the image.

        Raises
        ------
        ValueError
            If there is no such option, or a value that is not offered.

        Examples
        --------
        >>> REPRESENTATIONS["hog.vlfeat"].expression({"cell_size": 4}, (64, 64))
        'hog.vlfeat(cell_size=4)'
        """
        values = self.defaults()
        offered = {option.name: option.values for option in self.options}
        for name, value in chosen.items():
            if value not in offered.get(name, ()):
                raise ValueError(
                    f"expected one of {offered.get(name, tuple(offered))} for {name} of "
                    f"{self.flavour}; got {value!r}."
                )
            values[name] = value
        usual = expressions.options(self.flavour)
        arguments = [
            # With double quotes the expression stands between single ones in a shell.
            f"{name}={json.dumps(value) if isinstance(value, str) else repr(value)}"
            for name, value in self.arguments(values, shape).items()
            if value != usual[name]
        ]
        return f"{self.flavour}({', '.join(arguments)})" if arguments else self.flavour


def _skimage(chosen: Mapping[str, Any], shape: tuple[int, int]) -> dict[str, Any]:
    """Cells and blocks are square."""
    return {
        "orientations": chosen["orientations"],
        "pixels_per_cell": (chosen["cell"],) * 2,
        "cells_per_block": (chosen["block"],) * 2,
        "block_norm": chosen["block_norm"],
    }


def _opencv(chosen: Mapping[str, Any], shape: tuple[int, int]) -> dict[str, Any]:
    """One window, as large as the image holds; detectors slide a smaller one over it."""
    cell = chosen["cell"]
    height, width = (max(2, side // cell) * cell for side in shape)
    return {
        "win_size": (width, height),
        "block_size": (2 * cell, 2 * cell),
        "block_stride": (cell, cell),
        "cell_size": (cell, cell),
        "nbins": chosen["nbins"],
        "signed_gradient": chosen["signed_gradient"],
        "win_stride": (cell, cell),
    }


def _words(chosen: Mapping[str, Any], shape: tuple[int, int]) -> dict[str, Any]:
    """Cells of the grid are counted along one side."""
    return {**chosen, "grid": (chosen["grid"],) * 2}


_CELLS = (4, 6, 8, 12, 16, 24, 32)
_CELL = Option("cell", "Cell size (pixels)", _CELLS, 8)
_SIGNED = "Tell light from dark (signed)"

#: What the page offers, by flavour, in the order of its list.
REPRESENTATIONS = {
    one.flavour: one
    for one in (
        Representation(
            "hog.vlfeat",
            "HOG, as VLFeat computes it",
            (
                Option("cell_size", "Cell size (pixels)", _CELLS, 8),
                Option("num_orientations", "Orientations", (4, 6, 9, 12, 18), 9),
                Option("variant", "Variant", ("uoctti", "dalal-triggs"), "uoctti"),
                Option("bilinear_orientations", "Bilinear orientations", (False, True), False),
            ),
        ),
        Representation(
            "hog.skimage",
            "HOG, as scikit-image computes it",
            (
                _CELL,
                Option("orientations", "Orientations", (4, 6, 9, 12, 18), 9),
                Option("block", "Cells a side of a block", (1, 2, 3, 4), 3),
                Option("block_norm", "Norm of blocks", ("L1", "L1-sqrt", "L2", "L2-Hys"), "L2-Hys"),
            ),
            _skimage,
        ),
        Representation(
            "hog.opencv",
            "HOG, as OpenCV computes it",
            (
                _CELL,
                Option("nbins", "Orientations", (4, 6, 9, 12, 18), 9),
                Option("signed_gradient", _SIGNED, (False, True), False),
            ),
            _opencv,
        ),
        Representation(
            "hog.dpm",
            "HOG, as deformable part models compute it",
            (Option("sbin", "Cell size (pixels)", _CELLS, 8),),
        ),
        Representation(
            "hog.maskfeat",
            "HOG in colour, the targets of MaskFeat",
            (
                Option("pool", "Cell size (pixels)", (4, 8, 16), 8),
                Option("nbins", "Orientations", (4, 6, 9, 12, 18), 9),
            ),
        ),
        Representation(
            "dsift.natural",
            "Dense SIFT of Mahendran and Vedaldi",
            (Option("bin_size", "Bin size (pixels)", (3, 4, 5, 6, 8, 12), 5),),
        ),
        Representation(
            "dsift.vlfeat",
            "Dense SIFT, as VLFeat computes it",
            (
                Option("size", "Bin size (pixels)", (3, 4, 5, 6, 8), 4),
                Option("step", "Step between descriptors (pixels)", (4, 6, 8, 12, 16), 8),
                Option("rootsift", "RootSIFT", (False, True), False),
            ),
        ),
        Representation(
            "bovw",
            "Bag of visual words",
            (
                Option("n_words", "Words", (256, 1024), 256),
                Option("grid", "Cells a side of the grid", (1, 2, 4, 8, 16), 8),
                Option("assignment", "Assignment", ("soft", "hard"), "soft"),
                Option("norm", "Norm", (None, "l1", "l2"), None),
            ),
            _words,
        ),
        Representation(
            "cnn.digits",
            "A layer of the network of digits",
            (
                Option(
                    "layer",
                    "Layer",
                    ("conv1", "relu1", "conv2", "relu2", "conv3", "relu3", "fc", "relu4", "logits"),
                    "conv3",
                ),
            ),
            module="torch",
        ),
    )
}


def offered() -> tuple[Representation, ...]:
    """Representations whose libraries are installed.

    Examples
    --------
    >>> "hog.vlfeat" in [one.flavour for one in offered()]
    True
    """
    return tuple(
        one
        for one in REPRESENTATIONS.values()
        if one.module is None or importlib.util.find_spec(one.module) is not None
    )
