"""Signed powers and norms of codes, and their pullbacks, finite at zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from repinv.encoders._parts import validation

#: Codes of a smaller norm are taken as zero.
LEAST = 1e-12
#: Where a power is steeper, it passes nothing.
_STEEPEST = 1e5
#: Softness down to which a softened encoder has a power of its own, and from which on there is the
#: encoder's.
_SOFT, _OWN = 0.1, 0.01

_Scaled = tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]


def powered(z: np.ndarray, power: float) -> _Scaled:
    """sign(z)·|z|^power, and its pullback."""
    if power == 1:
        return z, lambda v: v
    size = np.abs(z)

    def pullback(v: np.ndarray) -> np.ndarray:
        # power·|z|^(power − 1) reaches _STEEPEST at this |z|.
        least = (_STEEPEST / power) ** (1 / (power - 1))
        # Of powers near 1, so small a number that it would be zero.
        least = max(least, float(np.finfo(z.dtype).tiny))
        slope = power * np.maximum(size, z.dtype.type(least)) ** (power - 1)
        passed: np.ndarray = np.where(size >= least, slope * v, z.dtype.type(0))
        return passed

    return np.sign(z) * size**power, pullback


def normed(z: np.ndarray, norm: str | None) -> _Scaled:
    """z divided by its norm along the last axis, and the pullback; zero where the norm is."""
    if norm is None:
        return z, lambda v: v
    sign = np.sign(z) if norm == "l1" else None
    size = np.sum(np.abs(z) if norm == "l1" else z * z, axis=-1, keepdims=True)
    size = size if norm == "l1" else np.sqrt(size)
    scale = np.where(size >= LEAST, 1 / np.maximum(size, LEAST), 0).astype(z.dtype)
    unit = z * scale

    def pullback(v: np.ndarray) -> np.ndarray:
        # d(z/n) = (dz − (z/n)·dn)/n, and dn = ⟨sign z, dz⟩ or ⟨z/n, dz⟩.
        along = np.sum(v * unit, axis=-1, keepdims=True)
        grad: np.ndarray = scale * (v - along * (unit if sign is None else sign))
        return grad

    return unit, pullback


def softer_power(power: float, soft: float, softness: float) -> float:
    """The exponent of a softened encoder: `soft` at first, and then nearer to its own."""
    share = (softness - _OWN) / (_SOFT - _OWN)
    return power + (soft - power) * min(max(share, 0.0), 1.0)


def with_power(code: np.ndarray, before: float, after: float, norm: str | None) -> np.ndarray:
    """Codes (N, *F) of one power, whole as `normed` leaves them, as those of another."""
    if before == after:
        return code
    strong = powered(code, after / before)[0]
    return normed(strong.reshape(len(code), -1), norm)[0].reshape(code.shape)


def power(value: Any) -> float:
    """A checked exponent."""
    checked = validation.real("power", value, above=0)
    if checked > 1:
        raise ValueError(f"power must lie in (0, 1]; got {value!r}. Use 0.5 for a signed root.")
    return checked


def norm(value: Any) -> str | None:
    """A checked norm."""
    if value not in (None, "l1", "l2"):
        raise ValueError(f"norm must be None, 'l1' or 'l2'; got {value!r}. Choose one of these.")
    return None if value is None else str(value)
