"""Losses that raise a response: the inner product with a direction, the margin of a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from repinv._core.batch import column, inner, rows
from repinv._core.typing import Array


@dataclass(frozen=True)
class InnerProduct:
    """Negative inner product with a direction, ``−⟨Φ, d⟩ / scale``: large responses are low.

    Parameters
    ----------
    direction : array, shape (1, *F) or (N, *F)
        A one-hot array for one component; ``max(Φ₀, 0)`` for a caricature.
    scale : float
        The response that counts as 1.

    See Also
    --------
    repinv.SquaredError : Relative squared distance to target features, ``‖w∘(Φ − Φ₀)‖² / ‖w∘Φ₀‖²``.
    repinv.Shortfall : How far a response falls short of what is wanted, ``max(0, wanted − ⟨Φ, d⟩ /
        scale)²``.

    Notes
    -----
    Equation :eq:`inner-product` of the documentation.

    References
    ----------
    .. [1] Mahendran and Vedaldi, IJCV 120, 2016, eq. (5). :doi:`10.1007/s11263-016-0911-8`

    Examples
    --------
    >>> import numpy as np
    >>> loss = InnerProduct(np.array([[0.0, 1.0]]), scale=2.0)
    >>> value, grad = loss.value_and_grad(np.array([[5.0, 3.0]]))
    >>> value, grad
    (array([-1.5]), array([[-0. , -0.5]]))
    """

    direction: Any
    scale: float = 1.0

    def of_pre_activations(self) -> RectifiedInnerProduct:
        """The same of rectified features, as a loss of pre-activations."""
        return RectifiedInnerProduct(self.direction, self.scale)

    def response(self, features: Array, /) -> Array:
        """⟨Φ, d⟩ / scale of each problem, (N,)."""
        return _response(features, self.direction, self.scale)

    def value_and_grad(self, features: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, *F) with respect to the features."""
        xp = array_namespace(features)
        grad = xp.broadcast_to(self.direction * (-1 / self.scale), features.shape)
        return -self.response(features), grad


@dataclass(frozen=True)
class RectifiedInnerProduct(InnerProduct):
    """What `InnerProduct` is once the features are rectified, but with a slope where all are off.

    Parameters
    ----------
    direction : array
    scale : float
        As of `InnerProduct`, for rectified features.

    Notes
    -----
    As with `RectifiedShortfall`, the wanted features of a problem count as they are, below zero,
    where none of them is on.

    Examples
    --------
    >>> import numpy as np
    >>> loss = RectifiedInnerProduct(np.array([[1.0, 1.0]]))
    >>> value, grad = loss.value_and_grad(np.array([[-1.0, -3.0], [-1.0, 0.5]]))
    >>> value
    array([ 4. , -0.5])
    >>> grad
    array([[-1., -1.],
           [ 0., -1.]])
    """

    def value_and_grad(self, features: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, *F) with respect to the features."""
        return _counted(super().value_and_grad, features, self.direction)


@dataclass(frozen=True)
class Margin:
    """How far the logits of other classes are above that of one, ``log Σ exp Φ_other − ⟨Φ, d⟩``.

    With the softmax p of the logits and d one class, that is ``log((1 − p) / p)``: it falls with
    the class's logit and with those of all others, the largest first, and it has no least value.

    Parameters
    ----------
    direction : array, shape (1, F) or (N, F)
        One-hot: 1 for the class. Of several classes, weights; their mean is what counts where these
        add up to 1. All that are 0 are the others.
    scale : float
        The response that counts as 1; the loss does not depend on it.

    See Also
    --------
    repinv.InnerProduct : Negative inner product with a direction, ``−⟨Φ, d⟩ / scale``: large
        responses are low.
    repinv.maximize : Find natural-looking images that excite a component of a representation.

    Notes
    -----
    Equation :eq:`margin` of the documentation.

    Examples
    --------
    >>> import numpy as np
    >>> loss = Margin(np.array([[0.0, 0.0, 1.0]]))
    >>> value, grad = loss.value_and_grad(np.array([[0.0, 0.0, 3.0]]))
    >>> value.round(4), grad
    (array([-2.3069]), array([[ 0.5,  0.5, -1. ]]))
    """

    direction: Any
    scale: float = 1.0

    def of_pre_activations(self) -> None:
        """None: logits are not rectified."""
        return

    def response(self, features: Array, /) -> Array:
        """⟨Φ, d⟩ / scale of each problem, (N,)."""
        return _response(features, self.direction, self.scale)

    def value_and_grad(self, features: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, F) with respect to the features."""
        xp = array_namespace(features)
        direction = xp.broadcast_to(self.direction, features.shape)
        others = xp.where(direction == 0, features, xp.full_like(features, -xp.inf))
        largest = xp.max(others, axis=1, keepdims=True)
        # Less the largest, so that no exponential overflows.
        powers = xp.exp(others - largest)
        total = xp.sum(powers, axis=1, keepdims=True)
        value = (xp.log(total) + largest)[:, 0] - inner(features, direction)
        return value, powers / total - direction


@dataclass(frozen=True)
class Shortfall:
    """How far a response falls short of what is wanted, ``max(0, wanted − ⟨Φ, d⟩ / scale)²``.

    `InnerProduct` grows without bound; this is zero once the response is there, and leaves the
    image to the priors.

    Parameters
    ----------
    direction : array, shape (1, *F) or (N, *F)
        A one-hot array for one component; ``max(Φ₀, 0)`` for a caricature.
    scale : float
        The response that counts as 1.
    wanted : float
        In units of `scale`.
    free_contrast : bool
        Whether images found by it are given the contrast of photographs in the end, where the
        response stays as it is.

    See Also
    --------
    repinv.InnerProduct : Negative inner product with a direction, ``−⟨Φ, d⟩ / scale``: large
        responses are low.
    repinv.maximize : Find natural-looking images that excite a component of a representation.

    Notes
    -----
    Equation :eq:`shortfall` of the documentation.

    At the kink, where the response is just what is wanted, value and gradient are zero.

    Examples
    --------
    >>> import numpy as np
    >>> loss = Shortfall(np.array([[0.0, 1.0]]), scale=2.0, wanted=3.0)
    >>> value, grad = loss.value_and_grad(np.array([[5.0, 2.0], [5.0, 8.0]]))
    >>> value, grad[0]
    (array([4., 0.]), array([-0., -2.]))
    """

    direction: Any
    scale: float = 1.0
    wanted: float = 1.0
    free_contrast: bool = False

    def of_pre_activations(self) -> RectifiedShortfall:
        """The same of rectified features, as a loss of pre-activations."""
        return RectifiedShortfall(self.direction, self.scale, self.wanted, self.free_contrast)

    def response(self, features: Array, /) -> Array:
        """⟨Φ, d⟩ / scale of each problem, (N,)."""
        return _response(features, self.direction, self.scale)

    def value_and_grad(self, features: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, *F) with respect to the features."""
        xp = array_namespace(features)
        short = self.wanted - self.response(features)
        short = xp.where(short > 0, short, xp.zeros_like(short))
        slope = column(short * (-2 / self.scale), features)
        return short * short, xp.broadcast_to(self.direction * slope, features.shape)


@dataclass(frozen=True)
class RectifiedShortfall(Shortfall):
    """What `Shortfall` is once the features are rectified, but with a slope where all are off.

    Parameters
    ----------
    direction : array
    scale, wanted : float
        As of `Shortfall`, for rectified features.

    Notes
    -----
    Of a problem none of whose wanted features is on, these count as they are, below zero; they are
    drawn up until one of them is on, and from then on the rectified ones count alone.

    Examples
    --------
    >>> import numpy as np
    >>> loss = RectifiedShortfall(np.array([[1.0, 1.0]]))
    >>> value, grad = loss.value_and_grad(np.array([[-1.0, -3.0], [-1.0, 0.5]]))
    >>> value
    array([25.  ,  0.25])
    >>> grad
    array([[-10., -10.],
           [  0.,  -1.]])
    """

    def value_and_grad(self, features: Array, /) -> tuple[Array, Array]:
        """Values (N,), and their gradients (N, *F) with respect to the features."""
        return _counted(super().value_and_grad, features, self.direction)


def _counted(
    value_and_grad: Callable[[Array], tuple[Array, Array]], features: Array, direction: Array
) -> tuple[Array, Array]:
    """Value and gradient of a loss of rectified features, given pre-activations.

    Those that are on count. Of a problem none of whose wanted features is on, these count too.
    """
    xp = array_namespace(features)
    nothing = xp.zeros_like(features)
    rectified = xp.where(features > 0, features, nothing)
    wanted = xp.broadcast_to(direction, features.shape) > 0
    on = xp.any(rows(xp.where(wanted, rectified, nothing)) > 0, axis=1)
    count = (features > 0) | (wanted & ~column(on, features))
    value, grad = value_and_grad(xp.where(count, features, nothing))
    return value, xp.where(count, grad, nothing)


def _response(features: Array, direction: Array, scale: float) -> Array:
    """⟨Φ, d⟩ / scale of each problem, (N,)."""
    xp = array_namespace(features)
    return inner(features, xp.broadcast_to(direction, features.shape)) * (1 / scale)
