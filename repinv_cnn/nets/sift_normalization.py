"""Pooled votes → normalized descriptors, in layers of torch."""

from __future__ import annotations

from typing import Any

import torch

from repinv_cnn.nets.orientation_votes import clipped, root

#: Roots that are not above it pass nothing, and sums are divided by no less.
_STEEP, _LEAST_SUM = 5e-6, 1e-12


class NormalizedDescriptors(torch.nn.Module):
    """Descriptors over their lengths, clipped, and what else a flavour does to them.

    Parameters
    ----------
    rule : named tuple
        The normalization of a flavour of `repinv.DSIFT`, which says what its fields mean.
    area : float
        Pixels that the sum of a descriptor is divided by, to be compared with a threshold.
    """

    def __init__(self, rule: Any, area: float) -> None:
        super().__init__()
        self.rule, self.area = rule, area

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        """Normalize along the last axis."""
        rule = self.rule
        v = clipped(raw / self._length(raw), rule.clip)
        if rule.twice:
            v = v / self._length(v)
        if rule.root:
            total = v.sum(dim=-1, keepdim=True)
            total = torch.where(total > _LEAST_SUM, total, torch.full_like(total, _LEAST_SUM))
            v = root(v / total + rule.root_epsilon, _STEEP)
        return v if rule.threshold <= 0 else self._presence(raw) * v

    def _length(self, v: torch.Tensor) -> torch.Tensor:
        """max(√(|v|² + squared) + added, least), which passes nothing where v is zero."""
        rule = self.rule
        square = v.square().sum(dim=-1, keepdim=True)
        least: float = rule.least
        length = root(square + rule.squared) + rule.added
        return torch.where(length > least, length, torch.full_like(length, least))

    def _presence(self, raw: torch.Tensor) -> torch.Tensor:
        """The weight of a descriptor by its contrast: a step at the threshold, or a ramp."""
        enough: float = self.rule.threshold * self.area
        contrast = raw.sum(dim=-1, keepdim=True) / enough
        if self.rule.softness <= 0:
            return (contrast.detach() >= 1).to(raw.dtype)
        width: float = 2 * self.rule.softness
        weight = 0.5 + (contrast - 1) / width
        settled = (weight <= 0) | (weight >= 1)
        return torch.where(settled, weight.detach().clamp(0, 1), weight)
