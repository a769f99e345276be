"""A NumPy encoder as a module of torch: features, and its own pullback under autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

import repinv
from repinv_cnn.nets import validation

#: Longest text of an encoder that a module's own shows; that of a vocabulary is no help.
_LONGEST = 200


def as_module(encoder: repinv.Encoder) -> EncoderModule:
    """A module of torch that computes the features of any NumPy encoder.

    Parameters
    ----------
    encoder : repinv.Encoder
        Of NumPy arrays: HOG, dense SIFT, bags of words, or one of your own.

    Returns
    -------
    EncoderModule
        Batches (N, C, H, W) in [0, 1] → features (N, *F), differentiable once.

    Raises
    ------
    TypeError
        If it is no encoder, or one that computes with other arrays than NumPy's.

    See Also
    --------
    HOGNet, DSIFTNet, BoVWNet : The same features in layers of torch, for other devices.

    Examples
    --------
    >>> import repinv, repinv_cnn, torch
    >>> hog = repinv_cnn.as_module(repinv.HOG.vlfeat(bilinear_orientations=True))
    >>> image = torch.rand(1, 1, 32, 32, requires_grad=True)
    >>> hog(image).square().sum().backward()
    >>> image.grad.shape
    torch.Size([1, 1, 32, 32])
    """
    return EncoderModule(encoder)


class EncoderModule(torch.nn.Module):
    """What `as_module` returns: a NumPy encoder under torch's autograd.

    Parameters
    ----------
    encoder : repinv.Encoder
        Of NumPy arrays.

    Attributes
    ----------
    encoder : repinv.Encoder

    See Also
    --------
    repinv_cnn.HOGNet : HOG as a network of fixed layers, for any device, differentiated by
        autograd.
    repinv.Encoder : A differentiable image representation Φ.

    Notes
    -----
    Tensors are brought to the host and features back to the device and dtype of the input;
    what is narrower than float32 is computed in float32. Where no gradient is asked for, nothing
    is kept for one. The pullback is the encoder's: derivatives of derivatives are refused. There
    are no parameters, and nothing to save.

    Examples
    --------
    >>> import repinv, torch
    >>> import repinv_cnn
    >>> module = repinv_cnn.EncoderModule(repinv.HOG.vlfeat())
    >>> module(torch.rand(1, 1, 32, 32)).shape
    torch.Size([1, 31, 4, 4])
    """

    encoder: repinv.Encoder

    def __init__(self, encoder: repinv.Encoder) -> None:
        super().__init__()
        validation.encoder_of(encoder, repinv.Encoder, "as_module")
        own = encoder.asarray(np.zeros(1, np.float32))
        if not isinstance(own, np.ndarray):
            raise TypeError(
                f"as_module takes encoders of NumPy arrays; {type(encoder).__name__} computes with "
                f"{type(own).__module__}.{type(own).__name__}. Use the module that it wraps."
            )
        self.encoder = encoder

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of a batch.

        Parameters
        ----------
        x : Tensor, shape (N, C, H, W), floating, in [0, 1]
            Images.

        Returns
        -------
        features : Tensor, shape (N, *F)
            On the device and of the dtype of `x`.

        Raises
        ------
        TypeError
            If `x` is no floating tensor.
        ValueError
            If its shape does not fit the encoder.
        """
        validation.check_batch(x, self.encoder, type(self).__name__)
        if torch.is_grad_enabled() and x.requires_grad:
            features: torch.Tensor = _Encode.apply(x, self.encoder)  # type: ignore[no-untyped-call]
            return features
        return _tensor(self.encoder.encode(_array(x)), x)

    def extra_repr(self) -> str:
        """The encoder, for the module's text."""
        text = repr(self.encoder)
        return text if len(text) <= _LONGEST else type(self.encoder).__name__


def _array(x: torch.Tensor) -> np.ndarray:
    """A tensor on the host, in the precision that encoders compute in; never a view."""
    return np.array(x.detach().to("cpu", validation.working(x.dtype)).numpy(), order="C")


def _tensor(array: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """An array on the device and of the dtype of a tensor."""
    return torch.tensor(array).to(like.device, like.dtype)


class _Encode(torch.autograd.Function):
    """Features of an encoder, and its pullback for their gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, encoder: repinv.Encoder) -> torch.Tensor:
        features, ctx.pullback = encoder.vjp(_array(x))
        return _tensor(features, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _tensor(ctx.pullback(_array(cotangent)), cotangent), None
