"""What passes a clip on the way back."""

from __future__ import annotations

import math

from repinv.encoders._kernels.jit import helper


@helper
def passed(value, top, square, half):  # type: ignore[no-untyped-def]
    """The slope of min(value, top): 1 below the clip, 0 from there on.

    With `square` > 0 the surrogate slope ½(1 − d/√(d² + square)) of d = value − top. `half`
    is ½ in the precision of the others.
    """
    if square > 0:
        d = value - top
        r = math.sqrt(d * d + square)
        return (r - d) / (r + r)
    return half + half if value < top else half - half
