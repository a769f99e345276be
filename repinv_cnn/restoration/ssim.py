"""Structural similarity that can be learned from: `repinv.metrics.ssim`, as torch code."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

#: Side of the windows that are compared; what keeps the quotients of faint ones from growing.
WINDOW, LEVEL, CONTRAST = 7, 0.01**2, 0.03**2


def ssim(images: Tensor, photographs: Tensor) -> Tensor:
    """Mean structural similarity (N,) of images to photographs, after affine intensity matching.

    Parameters
    ----------
    images : Tensor, shape (N, 1, H, W)
        At any brightness and contrast.
    photographs : Tensor, shape (N, 1, H, W)
        In [0, 1].
    """
    level = photographs.mean(dim=(2, 3), keepdim=True)
    x, y = images - images.mean(dim=(2, 3), keepdim=True), photographs - level
    power = (x * x).mean(dim=(2, 3), keepdim=True).clamp_min(1e-12)
    x = x * ((x * y).mean(dim=(2, 3), keepdim=True) / power)

    def local(values: Tensor) -> Tensor:
        return functional.avg_pool2d(values, WINDOW, stride=1)

    # Images lie around 0 here, so that float32 is exact enough for differences of squares.
    mean_x, mean_y = local(x), local(y)
    sample = WINDOW**2 / (WINDOW**2 - 1)
    variances = sample * (local(x * x) - mean_x**2 + local(y * y) - mean_y**2)
    covariance = sample * (local(x * y) - mean_x * mean_y)
    a, b = mean_x + level, mean_y + level
    levels = (2 * a * b + LEVEL) / (a**2 + b**2 + LEVEL)
    contrasts = (2 * covariance + CONTRAST) / (variances + CONTRAST)
    return (levels * contrasts).mean(dim=(1, 2, 3))
