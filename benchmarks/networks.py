"""torchvision's networks with random weights, also beside a torch that lacks its operators."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import nn


def torchvision_module() -> Any:
    """torchvision, whose two compiled operators are declared where they are missing."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        # Operators are undeclared with the library.
        torch._repinv_torchvision = library  # type: ignore[attr-defined]
        return importlib.import_module("torchvision")


def torchvision_model(name: str) -> nn.Module:
    """One of torchvision's classification networks, with random weights."""
    vision = torchvision_module()
    more = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    found: nn.Module = vision.models.get_model(name, weights=None, **more)
    return found.eval()
