"""How far images are from photographs, for training: with the sign of contrast, and without."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from repinv_cnn.restoration.ssim import ssim

#: Pixels that are averaged before windows are compared; deviations in pixels of what is detail, of
#: windows for pixels, and of those for gradients.
_COARSER, _DETAIL, _WINDOW, _WIDE = 4, 4, 24, 32
#: Parts of the loss without signs.
_SQUARES, _LOCAL, _GRADIENTS, _STRUCTURE = 0.3, 1.0, 1.0, 0.5


def unit(x: Tensor) -> Tensor:
    """Images at zero mean and unit standard deviation."""
    x = x - x.mean(dim=(2, 3), keepdim=True)
    return x / x.std(dim=(2, 3), keepdim=True, correction=0).clamp_min(1e-6)


def unlike(images: Tensor, photographs: Tensor) -> Tensor:
    """The mean square and, with equal weight, what structural similarity lacks to 1.

    The mean square alone has little of regions of low contrast, which are seen as well.

    Parameters
    ----------
    images, photographs : Tensor, shape (N, 1, H, W)
        At any brightness and contrast; in [0, 1].
    """
    return ((images - unit(photographs)) ** 2).mean() + 1 - ssim(images, photographs).mean()


def unlike_but_for_signs(images: Tensor, photographs: Tensor) -> Tensor:
    """The same for encoders that do not tell light from dark.

    Correlations within windows and the agreement of gradients count by their absolute values;
    squares and structure are those of the image or its negative, whichever is nearer.
    """
    target = unit(photographs)
    sign = torch.sign((images * target).mean(dim=(1, 2, 3), keepdim=True)).detach()
    sign = torch.where(sign == 0, torch.ones_like(sign), sign)
    squares = ((sign * images - target) ** 2).mean()
    local = 1 - _local_correlation(images, target).abs().mean()
    gradients = 1 - _coherence(images, target).mean()
    structure = 1 - ssim(sign * images, photographs).mean()
    return _SQUARES * squares + _LOCAL * local + _GRADIENTS * gradients + _STRUCTURE * structure


def _local_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Correlations of two images in a window about each place."""
    a, b = (functional.avg_pool2d(x, _COARSER) for x in (a, b))
    deviation = _WINDOW / _COARSER
    mean_a, mean_b = _blurred(a, deviation), _blurred(b, deviation)
    covariance = _blurred(a * b, deviation) - mean_a * mean_b
    variances = [
        (_blurred(x * x, deviation) - mean * mean).clamp_min(1e-4)
        for x, mean in ((a, mean_a), (b, mean_b))
    ]
    return covariance / torch.sqrt(variances[0] * variances[1])


def _coherence(a: Tensor, b: Tensor) -> Tensor:
    """Agreement (N,) of blurred gradients in wide windows, the sign of each being free."""
    first, second = (_gradient(x) for x in (a, b))
    products = (first * second).sum(dim=1, keepdim=True)
    most = first.norm(dim=1, keepdim=True) * second.norm(dim=1, keepdim=True)
    agreement, most = (_blurred(x, _WIDE / _COARSER) for x in (products, most))
    return agreement.abs().sum(dim=(1, 2, 3)) / most.sum(dim=(1, 2, 3)).clamp_min(1e-6)


def _gradient(x: Tensor) -> Tensor:
    x = _blurred(functional.avg_pool2d(x, _COARSER), _DETAIL / _COARSER)
    corner = x[..., :-1, :-1]
    return torch.cat([x[..., 1:, :-1] - corner, x[..., :-1, 1:] - corner], dim=1)


def _blurred(x: Tensor, deviation: float) -> Tensor:
    """Images under a Gaussian, the border repeated."""
    reach = int(3 * deviation)
    at = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-(at**2) / (2 * deviation**2))
    kernel = kernel / kernel.sum()
    x = functional.pad(x, (reach, reach, reach, reach), mode="replicate")
    return functional.conv2d(
        functional.conv2d(x, kernel[None, None, None]), kernel[None, None, :, None]
    )
