"""Names of classes in files, and where each class stands today.

Files of runs, encoders, restorers and inverters hold public names of `repinv`, such as "Spectral",
and no module's path, so that code can move without breaking a file. Parts of what is public, which
have no public name, are named in a table.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from typing import Any

import repinv

#: Names of parts in files → "module:class".
PARTS = {
    "HOG.per_cell": "repinv.encoders.hog.per_cell:CellHOG",
    "HOG.per_block": "repinv.encoders.hog.per_block:BoxHOG",
    "HOG.per_channel": "repinv.encoders.hog.per_channel:ChannelHOG",
    "HOG.per_window": "repinv.encoders.hog.per_window:WindowHOG",
    "DSIFT.dense": "repinv.encoders.sift.flavours:DenseSIFT",
    "DSIFT.vlfeat_grid": "repinv.encoders.sift.grids:VLFeatGrid",
    "DSIFT.natural_grid": "repinv.encoders.sift.grids:NaturalGrid",
    "DSIFT.kornia_grid": "repinv.encoders.sift.grids:KorniaGrid",
    "SIFT.opencv": "repinv.encoders.keypoints.opencv_sift:OpenCVSIFT",
    "SIFT.colmap": "repinv.encoders.keypoints.colmap_sift:COLMAPSIFT",
    "SIFT.skimage": "repinv.encoders.keypoints.skimage_sift:SkimageSIFT",
    "SquaredError.rectified": "repinv.energy.losses:RectifiedError",
    "InnerProduct.rectified": "repinv.energy.responses:RectifiedInnerProduct",
    "Shortfall.rectified": "repinv.energy.responses:RectifiedShortfall",
    "inverters.Ridge": "repinv.inverters.ridge:Ridge",
    "inverters.NearestPatches": "repinv.inverters.nearest:NearestPatches",
    "inverters.ExemplarLDA": "repinv.inverters.nearest:ExemplarLDA",
    "inverters.PairedDictionary": "repinv.inverters.paired_dictionary:PairedDictionary",
    "inverters.DirectOptimization": "repinv.inverters.direct:DirectOptimization",
    "inverters.CosineBasis": "repinv.inverters.direct:CosineBasis",
}
#: What version 0.1 wrote in place of a name.
OLD_NAMES = {
    "repinv.encoders.hog:HOG": "HOG",
    "repinv.encoders._cell_hog:CellHOG": "HOG.per_cell",
    "repinv.encoders._block_hog:BoxHOG": "HOG.per_block",
    "repinv.encoders._window_hog:WindowHOG": "HOG.per_window",
    "repinv.encoders.dsift:DSIFT": "DSIFT",
    "repinv.encoders._dense_sift:DenseSIFT": "DSIFT.dense",
    "repinv.encoders._dense_grids:VLFeatGrid": "DSIFT.vlfeat_grid",
    "repinv.encoders._dense_grids:NaturalGrid": "DSIFT.natural_grid",
    "repinv.encoders._dense_grids:KorniaGrid": "DSIFT.kornia_grid",
    "repinv.encoders.bovw:BoVW": "BoVW",
    "repinv.encoders.vlad:VLAD": "VLAD",
    "repinv.encoders.fisher:FisherVector": "FisherVector",
    "repinv.encoders.pca:PCA": "PCA",
    "repinv.encoders._assignment:HardAssignment": "HardAssignment",
    "repinv.encoders._assignment:SoftAssignment": "SoftAssignment",
    "repinv.encoders._assignment:LLC": "LLC",
    "repinv.encoders.hoggle:HOGgle": "HOGgle",
    "repinv.encoder:StraightThrough": "StraightThrough",
    "repinv.losses:SquaredError": "SquaredError",
    "repinv.losses:InnerProduct": "InnerProduct",
    "repinv.losses:Shortfall": "Shortfall",
    "repinv.losses:RectifiedError": "SquaredError.rectified",
    "repinv.responses:RectifiedShortfall": "Shortfall.rectified",
    "repinv.energy:Weighted": "Weighted",
    "repinv.energy:Energy": "Energy",
    "repinv.priors:AlphaNorm": "AlphaNorm",
    "repinv.priors:TotalVariation": "TotalVariation",
    "repinv.priors:IntensityRange": "IntensityRange",
    "repinv.priors:NaturalContrast": "NaturalContrast",
    "repinv.references:Pull": "Pull",
    "repinv.references:Diversity": "Diversity",
    "repinv.references:CellEnergy": "CellEnergy",
    "repinv.parametrizations:Pixels": "Pixels",
    "repinv.parametrizations:Spectral": "Spectral",
    "repinv.fourier:Fourier": "Fourier",
    "repinv.colour:Decorrelated": "Decorrelated",
    "repinv.wrappers:Jitter": "Jitter",
    "repinv.wrappers:Local": "Local",
    "repinv.wrappers:Levelled": "Levelled",
    "repinv.lbfgs:LBFGS": "LBFGS",
    "repinv.rules:Momentum": "Momentum",
    "repinv.rules:AdaGrad": "AdaGrad",
    "repinv.rules:Adam": "Adam",
    "repinv.stages:Stage": "Stage",
    "repinv.restorer:Restorer": "Restorer",
    "repinv.inverters._ridge:Ridge": "inverters.Ridge",
    "repinv.inverters._neighbours:NearestPatches": "inverters.NearestPatches",
    "repinv.inverters._neighbours:ExemplarLDA": "inverters.ExemplarLDA",
    "repinv.inverters._paired:PairedDictionary": "inverters.PairedDictionary",
    "repinv.inverters._basis:DirectOptimization": "inverters.DirectOptimization",
    "repinv.inverters._basis:CosineBasis": "inverters.CosineBasis",
}
#: The same of fields, by class: another name, or None for one that there is no more.
OLD_FIELDS: dict[str, dict[str, str | None]] = {
    "HOG.per_cell": {"bend": "slope_width"},
    "HOG.per_block": {"bend": "slope_width"},
    "HOG.per_window": {"bend": "slope_width"},
    "Stage": {
        "opened": "pre_activations",
        "relaxed": "surrogate_width",
        "local": "sensitivity_radius",
        "gathers": "averages_starts",
        "cells": None,
    },
}


def name_of(cls: type) -> str | None:
    """What a class is called in files; None for a class that is not written to files."""
    if not dataclasses.is_dataclass(cls):
        return None
    name: str = cls.__name__
    if _public(name) is cls:
        return name
    return _names().get(f"{cls.__module__}:{cls.__qualname__}")


def class_of(name: str) -> type:
    """The class that a file names.

    Raises
    ------
    ValueError
        If there is no such class.
    """
    current = OLD_NAMES.get(name, name)
    found: Any = _public(current)
    if current in PARTS:
        module, _, cls = PARTS[current].partition(":")
        found = getattr(importlib.import_module(module), cls)
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise ValueError(
            f"the file names {name!r}, which this version of repinv does not know. It was written "
            "by a newer version, or is damaged."
        )
    return found


def made(name: str, fields: dict[str, Any]) -> Any:
    """An instance of the class that a file names, of fields as the file has them.

    Raises
    ------
    ValueError
        If there is no such class, or it has no such field.
    """
    found: Any = class_of(name)
    current = OLD_NAMES.get(name, name)
    renamed = OLD_FIELDS.get(current, {})
    known = {field.name for field in dataclasses.fields(found) if field.init}
    names = {key: renamed.get(key, key) for key in fields}
    given = {name: fields[key] for key, name in names.items() if name is not None}
    if unknown := given.keys() - known:
        raise ValueError(f"the file gives {current} {', '.join(sorted(unknown))}, which it lacks.")
    return found(**given)


def _public(name: str) -> Any:
    """What stands under a public name; None if there is none of that name."""
    return getattr(repinv, name) if name in vars(repinv)["__all__"] else None


@functools.cache
def _names() -> dict[str, str]:
    """Names of parts by "module:class"."""
    return {place: name for name, place in PARTS.items()}
