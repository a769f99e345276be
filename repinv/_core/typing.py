"""Names of types that every room uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

#: An array of any array-API library; shapes and ranges stand in the docstrings.
Array: TypeAlias = Any
#: Maps a cotangent of the features ``(N, *F)`` to one of the images ``(N, C, H, W)``.
Pullback: TypeAlias = Callable[[Array], Array]
#: Maps a tangent of the images ``(N, C, H, W)`` to one of the features ``(N, *F)``.
Pushforward: TypeAlias = Callable[[Array], Array]
#: The pullback of one image, in NumPy: a cotangent of what was computed to one of what it was made
#: of.
ImagePullback: TypeAlias = Callable[[np.ndarray], np.ndarray]
#: Smallest and largest height, smallest and largest width (inclusive).
SizeRange: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
