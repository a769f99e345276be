"""Image gradient → votes for orientation bins, in layers of torch that autograd goes through.

Each function takes and returns maps (N, channels, H, W). Where the image is flat, nothing is
passed on: `_cut` takes the gradient away from what has none, before roots and quotients.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F

#: Image gradients shorter than this have no direction, and pass nothing.
FLAT = 1e-10


def _cut(a: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """The same values, which pass no gradient at some positions."""
    return torch.where(where, a.detach(), a)


def clipped(a: torch.Tensor, top: float) -> torch.Tensor:
    """min(a, top), which passes nothing at the clip or above."""
    return torch.where(a >= top, torch.full_like(a, top), a)


def root(a: torch.Tensor, least: float = 0.0) -> torch.Tensor:
    """√a of what is not negative; nothing passes where the root does not exceed `least`."""
    return _cut(a, a <= least**2).sqrt()


def image_gradient(x: torch.Tensor, scale: float, edge: float) -> tuple[torch.Tensor, torch.Tensor]:
    """I(x+1) − I(x−1) and I(y+1) − I(y−1), times `scale`.

    Where this would cross the border it is `edge` times the difference of the pixel and its
    neighbour. Slices are subtracted, since convolutions on some devices round their input.
    """
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    if edge != 1:
        weight = torch.ones_like(x[:1, :1])
        horizontal, vertical = weight.clone(), weight
        horizontal[..., 0] = horizontal[..., -1] = edge
        vertical[..., 0, :] = vertical[..., -1, :] = edge
        across, down = across * horizontal, down * vertical
    return scale * across, scale * down


#: (across, down) → what channels are compared by.
Strength: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def squares_in(dtype: torch.dtype) -> Strength:
    """Squared magnitudes, with squares and sum rounded to a precision."""
    return lambda across, down: across.to(dtype).square() + down.to(dtype).square()


def strongest_channel(
    across: torch.Tensor, down: torch.Tensor, strength: Strength
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradient (N, 1, H, W) of the channel where it is largest; the first one on a tie."""
    if across.shape[1] == 1:
        return across, down
    channel = strength(across.detach(), down.detach()).argmax(dim=1, keepdim=True)
    return across.gather(1, channel), down.gather(1, channel)


def magnitude_of(across: torch.Tensor, down: torch.Tensor, epsilon: float = 0.0) -> torch.Tensor:
    """√(gx² + gy² + epsilon), zero where the gradient is; flat regions pass nothing."""
    square = across * across + down * down
    flat = square.detach().sqrt() < FLAT
    if epsilon > 0:
        square = torch.where(square > 0, square + epsilon, square)
    return _cut(square, flat).sqrt()


def position_of(
    across: torch.Tensor, down: torch.Tensor, bins: int, shift: float, directed: bool
) -> torch.Tensor:
    """The angle in units of bins, from 0 to `bins`, the first bin's centre being at `shift`.

    The octants are mirrored by selections, whose derivative is right on the axes too, where
    that of an absolute value is not. Multiples of 45 degrees are exact.
    """
    half_turn = float(bins / 2 if directed else bins)
    turn = 2 * half_turn if directed else half_turn
    a = torch.where(across < 0, -across, across)
    b = torch.where(down < 0, -down, down)
    steep = b > a
    small, large = torch.where(steep, a, b), torch.where(steep, b, a)
    angle = (half_turn / math.pi) * torch.atan(small / torch.where(large > 0, large, 1.0))
    diagonal = (small == large) & (large > 0)
    angle = angle + torch.where(diagonal, half_turn / 4 - angle, 0.0).detach()
    angle = torch.where(steep, half_turn / 2 - angle, angle)
    angle = torch.where(across < 0, half_turn - angle, angle)
    angle = torch.where(down < 0, turn - angle, angle)
    # What is no number goes to the first bin: an index stays an index.
    angle = torch.where(angle <= turn, angle, torch.zeros_like(angle)) - shift
    return torch.where(angle < 0, angle + bins, angle)


@dataclasses.dataclass(frozen=True)
class Shared:
    """Votes shared by the two bins that an angle lies between.

    With f the fraction of the way from one to the next, the next has the weight
    clip(½ + (f − ½)/softness, 0, 1), which passes nothing where it is 0 or 1.
    """

    bins: int
    shift: float
    directed: bool
    softness: float = 1.0
    epsilon: float = 0.0  # added to squared magnitudes, and to gradients across for their angle

    def __call__(self, across: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        """Votes (N, bins, H, W) of gradients (N, 1, H, W)."""
        magnitude = magnitude_of(across, down, self.epsilon)
        flat = (across * across + down * down).detach().sqrt() < FLAT
        gx, gy = _cut(across + self.epsilon, flat), _cut(down, flat)
        position = position_of(gx, gy, self.bins, self.shift, self.directed)
        lower = position.detach().floor()
        weight = 0.5 + (position - lower - 0.5) / self.softness
        weight = _cut(weight, (weight <= 0) | (weight >= 1)).clamp(0, 1)
        index = lower.long() % self.bins
        far = weight * magnitude
        votes = torch.zeros_like(far).expand(-1, self.bins, -1, -1)
        votes = votes.scatter_add(1, index, magnitude - far)
        return votes.scatter_add(1, (index + 1) % self.bins, far)


def _voted(index: torch.Tensor, magnitude: torch.Tensor, bins: int) -> torch.Tensor:
    """Votes (N, bins, H, W), all of a magnitude going to one bin."""
    votes = torch.zeros_like(magnitude).expand(-1, bins, -1, -1)
    return votes.scatter(1, index, magnitude)


@dataclasses.dataclass(frozen=True)
class Nearest:
    """Votes for the nearest bin, the lower one halfway between two."""

    bins: int
    shift: float
    directed: bool

    def __call__(self, across: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        """Votes (N, bins, H, W) of gradients (N, 1, H, W)."""
        fixed = across.detach(), down.detach()
        position = position_of(*fixed, self.bins, self.shift, self.directed)
        index = (position - 0.5).ceil().long() % self.bins
        return _voted(index, magnitude_of(across, down), self.bins)


@dataclasses.dataclass(frozen=True)
class Intervals:
    """scikit-image's votes: bin i takes the angles [i, i+1)·180°/bins, with borders in float32.

    An angle beyond the last border votes nowhere.
    """

    bins: int

    def __call__(self, across: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        """Votes (N, bins, H, W) of gradients (N, 1, H, W)."""
        gx, gy = across.detach().double(), down.detach().double()
        degrees = torch.remainder(torch.atan2(gy, gx) * (180 / math.pi), 180.0)
        steps = torch.arange(self.bins + 1, dtype=torch.float32, device=across.device)
        borders = (torch.full_like(steps, 180 / self.bins) * steps).double()
        index = torch.searchsorted(borders, degrees.contiguous(), right=True) - 1
        inside = (index >= 0) & (index < self.bins)
        magnitude = magnitude_of(across, down) * inside
        return _voted(index.clamp(0, self.bins - 1), magnitude, self.bins)


@dataclasses.dataclass(frozen=True)
class Projections:
    """voc-release's votes: the bin whose direction, of four decimals, has the largest product."""

    bins: int

    def __call__(self, across: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        """Votes (N, bins, H, W) of gradients (N, 1, H, W)."""
        angles = [2 * math.pi * k / self.bins for k in range(self.bins // 2)]
        half = [(round(math.cos(a), 4), round(math.sin(a), 4)) for a in angles]
        directions = torch.tensor(
            [*half, *((-u, -v) for u, v in half)], dtype=torch.float64, device=across.device
        )
        u, v = directions.T[..., None, None]
        index = (u * across.detach() + v * down.detach()).argmax(dim=1, keepdim=True)
        return _voted(index, magnitude_of(across, down), self.bins)


#: (across, down) → votes.
Rule: TypeAlias = Shared | Nearest | Intervals | Projections


class RootPixels(torch.nn.Module):
    """√ of pixel values, negative ones taken as 0; the first layer of some flavours.

    Parameters
    ----------
    value_range : (float, float)
        Pixel values that 0 and 1 stand for.
    """

    def __init__(self, value_range: tuple[float, float]) -> None:
        super().__init__()
        self.low, self.scale = value_range[0], value_range[1] - value_range[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Roots of images (N, C, H, W)."""
        values = self.scale * x + self.low
        return root(torch.where(values < 0, torch.zeros_like(values), values), FLAT)


class OrientedVotes(torch.nn.Module):
    """The image gradient of the strongest channel, as votes for orientation bins.

    Parameters
    ----------
    rule : Rule
        Which bins an angle votes for.
    scale, edge : float
        Of the image gradient; see `image_gradient`.
    strength : Strength
        What channels are compared by.
    """

    def __init__(self, rule: Rule, scale: float, edge: float, strength: Strength) -> None:
        super().__init__()
        self.rule, self.scale, self.edge, self.strength = rule, scale, edge, strength

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Votes (N, bins, H, W) of images (N, C, H, W)."""
        across, down = image_gradient(x, self.scale, self.edge)
        return self.rule(*strongest_channel(across, down, self.strength))

    def extra_repr(self) -> str:
        """The rule, for the module's text."""
        return repr(self.rule)
