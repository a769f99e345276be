"""The network of a restorer, to be trained."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from repinv import Restorer

#: Channels at 4, 8 and 16 pixels a position: less than 400,000 weights with up to 128 features.
WIDTHS = (48, 64, 56)
_UNIT = 4


class RestorerNet(nn.Module):
    """The network of a `repinv.Restorer`.

    Parameters
    ----------
    channels : int
        Numbers of the features at every place.
    widths : tuple of int
        Channels at 4, 8 and 16 pixels a position.
    """

    def __init__(self, channels: int, widths: tuple[int, int, int] = WIDTHS) -> None:
        super().__init__()
        fine, middle, coarse = widths
        # In the order of the layers of a `repinv.Restorer`.
        self.layers = nn.ModuleList(
            nn.Conv2d(inputs, outputs, side, padding=side // 2)
            for inputs, outputs, side in [
                (2 * _UNIT**2, fine, 3), (fine, fine, 3),
                (4 * fine, middle, 1), (channels, middle, 3),
                (middle, middle, 3), (middle, middle, 3),
                (4 * middle, coarse, 1), *[(coarse, coarse, 3)] * 3,
                (coarse, 4 * middle, 1), (middle, middle, 3), (middle, middle, 3),
                (middle, 4 * fine, 1), (fine, fine, 3), (fine, fine, 3),
                (fine, _UNIT**2, 3),
            ]
        )  # fmt: skip
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, mean: Tensor, spread: Tensor, vectors: Tensor) -> Tensor:
        """Images (N, 1, H, W), whose sides are multiples of 16."""
        (enter, fine_1, down_1, features, middle_1, middle_2, down_2, *coarse_layers,
         up_2, middle_3, middle_4, up_1, fine_2, fine_3, leave) = self.layers  # fmt: skip

        def residual(x: Tensor, *layers: nn.Module) -> Tensor:
            for layer in layers:
                x = x + functional.relu(layer(x))
            return x

        pixels = functional.pixel_unshuffle(torch.cat([mean, spread], dim=1), _UNIT)
        fine = residual(functional.relu(enter(pixels)), fine_1)
        middle = down_1(functional.pixel_unshuffle(fine, 2)) + features(vectors)
        middle = residual(functional.relu(middle), middle_1, middle_2)
        coarse = functional.relu(down_2(functional.pixel_unshuffle(middle, 2)))
        coarse = residual(coarse, *coarse_layers)
        middle = middle + functional.relu(functional.pixel_shuffle(up_2(coarse), 2))
        middle = residual(middle, middle_3, middle_4)
        fine = fine + functional.relu(functional.pixel_shuffle(up_1(middle), 2))
        fine = residual(fine, fine_2, fine_3)
        return mean + functional.pixel_shuffle(leave(fine), _UNIT)

    def restorer(self, offset: np.ndarray, scale: np.ndarray, learned_on: str) -> Restorer:
        """What it has learned, free of torch."""
        parameters = [parameter.detach().cpu() for parameter in self.layers.parameters()]
        return Restorer(
            tuple(kernel.permute(2, 3, 1, 0).contiguous().numpy() for kernel in parameters[::2]),
            tuple(bias.numpy().copy() for bias in parameters[1::2]),
            offset,
            scale,
            learned_on,
        )
