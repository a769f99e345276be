"""Images that are changed at random in every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from array_api_compat import array_namespace

from repinv._core.typing import Array
from repinv.variables.base import OnBase, Parametrization


@dataclass(frozen=True)
class Jitter(OnBase):
    """Another parametrization, its image shifted by a random whole number of pixels every step.

    Parameters
    ----------
    base : parametrization
        What gives the images that are shifted.
    amount : int
        Largest shift, up, down, left and right, in pixels; what leaves on one side enters on the
        other.
    seed : int
        Shifts are drawn from the seed and the iteration alone, so that a run can be continued.

    See Also
    --------
    repinv.Spectral : Cosine coefficients, weighted by the spectrum of natural images.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> jitter = repinv.Jitter(repinv.Pixels(), amount=2, seed=0)
    >>> x, _ = jitter.vjp(np.eye(8)[None, None], 3)
    >>> float(x.sum())
    8.0
    """

    base: Parametrization
    amount: int = 2
    seed: int = 0

    is_steady = False

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValueError(f"Jitter needs an amount >= 0 pixels; got {self.amount}.")

    def about(self, around: Array, weights: Array, /) -> Jitter:
        """The same shifts of the base's changes of an image; see `Parametrization`."""
        return replace(self, base=self.base.about(around, weights))  # type: ignore[attr-defined]

    def vjp(self, z: Array, iteration: int = 0, /) -> tuple[Array, Callable[[Array], Array]]:
        """The base's x, shifted; and the base's pullback of the cotangent shifted back."""
        rng = np.random.default_rng((self.seed, iteration))
        down, right = (int(s) for s in rng.integers(-self.amount, self.amount, 2, endpoint=True))
        x, pullback = self.base.vjp(z, iteration)
        xp = array_namespace(x)

        def shifted_back(v: Array) -> Array:
            return pullback(xp.roll(v, (-down, -right), axis=(-2, -1)))

        return xp.roll(x, (down, right), axis=(-2, -1)), shifted_back

    def image(self, z: Array, /) -> Array:
        """The base's image, unshifted."""
        return self.base.image(z)
