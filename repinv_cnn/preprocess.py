"""What stands between an image in [0, 1] and a network's input: part of the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

#: Statistics of ImageNet's pixels in [0, 1], which torchvision's networks were trained with.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocess:
    """Resize, gray to RGB, scale and centre: differentiable, in this order.

    Parameters
    ----------
    mean, std : tuple of float
        Of the pixels, a value a channel or one for all: x ↦ (scale·x − mean) / std.
    size : (int, int) or None
        (H, W) that images are resized to, bilinearly and without aliasing; None leaves theirs.
    to_rgb : bool
        Repeat images of one channel three times.
    scale : float
        Pixel value of white, for networks that take 0…255.
    order : {"RGB", "BGR"}
        Of the channels that the network takes; `mean` and `std` are given in it.
    image_mean : Tensor or None
        An average image (C, H, W) to subtract instead of `mean`.

    See Also
    --------
    repinv_cnn.TorchEncoder : The output of a layer of a torch model, as a differentiable image
        representation.
    repinv_cnn.from_torchvision : A layer of one of torchvision's classification networks.

    Examples
    --------
    >>> import torch
    >>> from repinv_cnn import Preprocess
    >>> Preprocess.imagenet()(torch.ones(1, 3, 2, 2))[0, :, 0, 0].round(decimals=2)
    tensor([2.2500, 2.4300, 2.6400])
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    size: tuple[int, int] | None = None
    to_rgb: bool = False
    scale: float = 1.0
    order: str = "RGB"
    image_mean: Tensor | None = None

    def __post_init__(self) -> None:
        if any(not value > 0 for value in (*self.std, self.scale)):
            raise ValueError(
                f"Preprocess needs std > 0 and scale > 0; got {self.std} and {self.scale}."
            )

        if self.order not in ("RGB", "BGR"):
            raise ValueError(f'Preprocess needs order "RGB" or "BGR"; got {self.order!r}.')

    @classmethod
    def imagenet(cls, *, size: tuple[int, int] | None = None, to_rgb: bool = False) -> Preprocess:
        """That of torchvision's networks, and of most others trained on ImageNet.

        Parameters
        ----------
        size, to_rgb : optional
            As for the class.
        """
        return cls(IMAGENET_MEAN, IMAGENET_STD, size, to_rgb)

    @property
    def channels(self) -> int | None:
        """Channels of the images taken, or None for those of the network."""
        if self.to_rgb:
            return 1
        return len(self.mean) if len(self.mean) > 1 else None

    def __call__(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] as the network takes them."""
        if self.size is not None and tuple(x.shape[-2:]) != tuple(self.size):
            x = torch.nn.functional.interpolate(
                x, self.size, mode="bilinear", align_corners=False, antialias=True
            )
        if self.to_rgb and x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        if self.order == "BGR":
            x = x.flip(1)
        mean = self.mean if self.image_mean is None else self.image_mean
        return (self.scale * x - _on(mean, x.dtype, x.device)) / _on(self.std, x.dtype, x.device)

    def factor(self, x: Tensor) -> Tensor | None:
        """What images like `x` are multiplied by; None where that, and a shift, is not all."""
        is_scaled_alone = self.size is None and not self.to_rgb and self.order == "RGB"
        return self.scale / _on(self.std, x.dtype, x.device) if is_scaled_alone else None


@lru_cache(maxsize=64)
def _on(values: tuple[float, ...] | Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Values of channels, or an image of them, on a device: moved there once and for all."""
    if isinstance(values, Tensor):
        return values.to(dtype=dtype, device=device)
    return torch.tensor(values, dtype=dtype, device=device)[:, None, None]
