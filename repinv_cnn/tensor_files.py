"""Features in files of torch, for `repinv`, which knows no torch: weights only, no code is run."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch


def read(path: Path) -> Any:
    """The tensor of a .pt file as an array, or several by name.

    Parameters
    ----------
    path : Path

    Returns
    -------
    found : ndarray, or dict of str to ndarray
        Nested dictionaries have names joined by '/'.

    Raises
    ------
    ValueError
        If it is damaged, or holds objects of other kinds, which could run code when opened.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "features.pt"
    ...     torch.save({"conv": torch.zeros(2, 3)}, path)
    ...     {name: array.shape for name, array in read(path).items()}
    {'conv': (2, 3)}
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors, which could run code when opened, and is refused. "
            "Save the tensor alone: torch.save(features.detach(), path)."
        ) from error
    # Damage is met in many places.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ValueError(
            f"expected tensors saved by torch.save; {path} cannot be read as such: {reason}. Save "
            "it again."
        ) from error
    if isinstance(found, torch.Tensor):
        return _array(found)
    if isinstance(found, Mapping):
        return _named(found)
    raise ValueError(
        f"expected a tensor or a dictionary of tensors; {path} holds a {type(found).__name__}. "
        "Save the tensor alone: torch.save(features, path)."
    )


def _named(found: Mapping[Any, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """Tensors of a dictionary, and of those in it, by name."""
    arrays: dict[str, np.ndarray] = {}
    for name, value in found.items():
        if isinstance(value, torch.Tensor):
            arrays[f"{prefix}{name}"] = _array(value)
        elif isinstance(value, Mapping):
            arrays |= _named(value, f"{prefix}{name}/")
    return arrays


def _array(tensor: torch.Tensor) -> np.ndarray:
    """A tensor as NumPy, half precision as single."""
    tensor = tensor.detach().to_dense() if tensor.is_sparse else tensor.detach()
    is_half = tensor.dtype in (torch.bfloat16, torch.float16)
    return (tensor.float() if is_half else tensor).numpy()
