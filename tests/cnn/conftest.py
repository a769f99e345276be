"""torchvision beside a torch that lacks its compiled operators: declared, they are not missed."""

import importlib
import importlib.util

import pytest
import torch

if importlib.util.find_spec("torchvision") is not None:
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        LIBRARY = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        importlib.import_module("torchvision")


class Transfers(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts the operations that read a value from a device, or move an array to another."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        if "_local_scalar_dense" in name or ("_to_copy" in name and "device" in (kwargs or {})):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


@pytest.fixture
def transfers():
    """Takes note of transfers, as a context."""
    return Transfers()
