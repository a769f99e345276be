"""Inverters that were learned from images: the baselines of HOGgles, each through one face.

An inverter knows an encoder. ``Inverter.fit(images, encoder)`` learns one, ``.invert(features)``
returns a `repinv.Result` as `repinv.invert` does, ``.save`` and ``.load`` keep it as npz without
pickle, and ``repinv.invert(..., initial=inverter)`` starts the energy from its image.
"""

from repinv.inverters.base import Inverter as Inverter
from repinv.inverters.direct import DirectOptimization as DirectOptimization
from repinv.inverters.nearest import ExemplarLDA as ExemplarLDA
from repinv.inverters.nearest import NearestPatches as NearestPatches
from repinv.inverters.paired_dictionary import PairedDictionary as PairedDictionary
from repinv.inverters.ridge import Ridge as Ridge

__all__ = [
    "DirectOptimization",
    "ExemplarLDA",
    "Inverter",
    "NearestPatches",
    "PairedDictionary",
    "Ridge",
]
