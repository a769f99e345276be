"""Inverters that were learned from images: the baselines of HOGgles, each through one face.

An inverter knows an encoder. ``Inverter.fit(images, encoder)`` learns one, ``.invert(features)``
returns a `repinv.Result` as `repinv.invert` does, ``.save`` and ``.load`` keep it as npz without
pickle, and ``repinv.invert(..., initial=inverter)`` starts the energy from its image.
"""

from repinv.inverters._base import Inverter as Inverter
from repinv.inverters._basis import DirectOptimization as DirectOptimization
from repinv.inverters._neighbours import ExemplarLDA as ExemplarLDA
from repinv.inverters._neighbours import NearestPatches as NearestPatches
from repinv.inverters._paired import PairedDictionary as PairedDictionary
from repinv.inverters._ridge import Ridge as Ridge

__all__ = [
    "DirectOptimization",
    "ExemplarLDA",
    "Inverter",
    "NearestPatches",
    "PairedDictionary",
    "Ridge",
]
