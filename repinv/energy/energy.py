"""Energy = loss(encoder(parametrization(z))) + Σ weight · prior: what every task minimizes."""

from __future__ import annotations

from dataclasses import dataclass

from repinv._core.typing import Array
from repinv.encoders.base import Encoder
from repinv.energy.losses import Loss
from repinv.energy.priors import Prior
from repinv.variables.base import Parametrization


@dataclass(frozen=True)
class Weighted:
    """A prior and how much it counts.

    Parameters
    ----------
    name : str
        What its values are called in a trace.
    weight : float
        Factor of the prior's value.
    prior : Prior
        What is weighted.

    See Also
    --------
    repinv.Energy : The energy of a batch of independent problems, as a function of the solver's
        variable z.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Examples
    --------
    >>> import repinv
    >>> repinv.Weighted("smooth", 1e-3, repinv.TotalVariation(beta=1.5)).name
    'smooth'
    """

    name: str
    weight: float
    prior: Prior


@dataclass(frozen=True)
class Energy:
    """The energy of a batch of independent problems, as a function of the solver's variable z.

    Parameters
    ----------
    encoder : Encoder
        Φ.
    loss : Loss
        Of the features.
    parametrization : Parametrization
        From the variables that are optimized to the images.
    priors : tuple of Weighted
        Of the images.

    See Also
    --------
    repinv.minimize : Minimize a batch of independent functions, one evaluation of each an
        iteration.
    repinv.Weighted : A prior and how much it counts.
    repinv.SquaredError : Relative squared distance to target features, ``‖w∘(Φ − Φ₀)‖² / ‖w∘Φ₀‖²``.

    Notes
    -----
    Equation :eq:`energy` of the documentation.

    References
    ----------
    .. [1] Mahendran and Vedaldi, IJCV 120, 2016, eq. (2). :doi:`10.1007/s11263-016-0911-8`

    Examples
    --------
    >>> import numpy as np, repinv
    >>> hog, image = repinv.HOG.vlfeat(), np.random.default_rng(0).random((1, 1, 32, 32))
    >>> loss = repinv.SquaredError(hog.encode(image))
    >>> smooth = repinv.Weighted("tv", 1e-3, repinv.TotalVariation())
    >>> energy = repinv.Energy(hog, loss, repinv.Pixels(), (smooth,))
    >>> value, grad, terms = energy.value_and_grad(image)
    >>> sorted(terms), float(terms["data"][0]), grad.shape
    (['data', 'tv'], 0.0, (1, 1, 32, 32))
    """

    encoder: Encoder
    loss: Loss
    parametrization: Parametrization
    priors: tuple[Weighted, ...] = ()

    def value_and_grad(
        self, z: Array, iteration: int = 0, /
    ) -> tuple[Array, Array, dict[str, Array]]:
        """Energies and their gradients.

        Parameters
        ----------
        z : array, shape (N, ...)
            Variables of the parametrization.
        iteration : int
            Number of the step, for parametrizations that change from step to step.

        Returns
        -------
        value : array, shape (N,)
        grad : array, the shape of `z`
        terms : dict of str to array, shape (N,)
            The loss ("data") and every prior times its weight, which add up to `value`.
        """
        x, pull_to_z = self.parametrization.vjp(z, iteration)
        features, pull_to_x = self.encoder.vjp(x)
        value, cotangent = self.loss.value_and_grad(features)
        terms = {"data": value}
        grad = pull_to_x(cotangent)
        for term in self.priors:
            prior_value, prior_grad = term.prior.value_and_grad(x)
            terms[term.name] = term.weight * prior_value
            value = value + terms[term.name]
            grad = grad + term.weight * prior_grad
        return value, pull_to_z(grad), terms
