"""Losses: how far features are from what is wanted, each problem of a batch on its own.

A loss maps features ``(N, *F)`` to values ``(N,)`` and their gradients ``(N, *F)``, in units of
its own scale, so that the weight of a prior means the same for every representation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from array_api_compat import array_namespace

from repinv._core.batch import column, inner
from repinv._core.typing import Array


class Loss(Protocol):
    """What `Energy` needs of a loss."""

    def value_and_grad(self, features: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, *F) with respect to the features."""
        ...

    def response(self, features: Array, /) -> Array:
        """How well features do, (N,): what is wanted is large."""
        ...

    def of_pre_activations(self) -> Loss | None:
        """The same loss of rectified features, as one of pre-activations; None if there is none."""
        ...


@dataclass(frozen=True)
class SquaredError:
    """Relative squared distance to target features, ``‖w∘(Φ − Φ₀)‖² / ‖w∘Φ₀‖²``.

    Parameters
    ----------
    target : array, shape (1, *F) or (N, *F)
        Φ₀; one target for all problems, or one each.
    weight : array, broadcastable to `target`, or None
        Square of w above: 0 leaves a feature out, 1 counts it fully.

    See Also
    --------
    repinv.InnerProduct : Negative inner product with a direction, ``−⟨Φ, d⟩ / scale``: large
        responses are low.
    repinv.Energy : The energy of a batch of independent problems, as a function of the solver's
        variable z.

    Notes
    -----
    Equation :eq:`squared-error` of the documentation.

    A target of norm zero has no scale of its own; the distance is then absolute.

    References
    ----------
    .. [1] Mahendran and Vedaldi, "Visualizing deep convolutional neural networks using natural
       pre-images", IJCV 120, 2016, eq. (3) and (4). :doi:`10.1007/s11263-016-0911-8`

    Examples
    --------
    >>> import numpy as np
    >>> loss = SquaredError(np.array([[3.0, 4.0]]))
    >>> value, grad = loss.value_and_grad(np.array([[3.0, 4.0], [3.0, 3.0]]))
    >>> value
    array([0.  , 0.04])
    >>> grad
    array([[ 0.  ,  0.  ],
           [ 0.  , -0.08]])
    """

    target: Any
    weight: Any = None

    def of_pre_activations(self) -> RectifiedError:
        """The same of rectified features, as a loss of pre-activations."""
        return RectifiedError(self.target, self.weight)

    @cached_property
    def _scale(self) -> Array:
        """1 / ‖w∘Φ₀‖², to be broadcast against the features; taken once, since Φ₀ is constant."""
        xp = array_namespace(self.target)
        weighted = self.target if self.weight is None else self.weight * self.target
        norm = inner(self.target, weighted)
        scale = 1 / xp.where(norm > 0, norm, xp.ones_like(norm))
        return column(scale, self.target)

    def response(self, features: Array, /) -> Array:
        """The negative distance, (N,)."""
        return -self.value_and_grad(features)[0]

    def value_and_grad(self, features: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, *F) with respect to the features."""
        difference = features - self.target
        grad = difference * self._scale
        if self.weight is not None:
            grad = grad * self.weight
        return inner(difference, grad), 2 * grad


@dataclass(frozen=True)
class RectifiedError(SquaredError):
    """What `SquaredError` is once the features are rectified, but with a slope where they are off.

    Parameters
    ----------
    target, weight : array
        As of `SquaredError`, the target being of rectified features.

    Notes
    -----
    Equation :eq:`rectified-error` of the documentation.

    Where the target is zero, features below zero are as good as zero; elsewhere they are further
    from the target than zero is, and so have a gradient, which after the rectifier they would not.
    The least value is zero for both, and for the same features.

    Examples
    --------
    >>> import numpy as np
    >>> loss = RectifiedError(np.array([[0.0, 5.0]]))
    >>> value, grad = loss.value_and_grad(np.array([[-3.0, 5.0], [0.0, -5.0]]))
    >>> value
    array([0., 4.])
    >>> grad
    array([[ 0. ,  0. ],
           [ 0. , -0.8]])
    """

    @cached_property
    def _least(self) -> Array:
        """What features below it are as good as: zero where the target is."""
        xp = array_namespace(self.target)
        return xp.where(self.target == 0, 0.0, xp.full_like(self.target, -xp.inf))

    def value_and_grad(self, features: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, *F) with respect to the features."""
        xp = array_namespace(features)
        return super().value_and_grad(xp.maximum(features, self._least))
