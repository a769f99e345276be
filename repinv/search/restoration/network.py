"""The network of a restorer, without torch: a residual U-net at three scales.

Arrays are (N, height, width, channels). A position of the finest scale stands for 4×4 pixels, one
of the middle scale for 8×8, of the coarsest for 16×16. Each scale goes down to the next by
gathering 2×2 positions, and up again by the reverse; what comes up is added to what went down.
"""

from __future__ import annotations

from collections.abc import Sequence

from array_api_compat import array_namespace, device

from repinv._core.typing import Array

#: Pixels along a position of the finest, middle and coarsest scale.
FINE, MIDDLE, COARSE = 4, 8, 16
#: Layers in the order in which their weights stand, and the sides of their kernels.
LAYERS = {
    "enter": 3, "fine 1": 3,
    "down 1": 1, "features": 3, "middle 1": 3, "middle 2": 3,
    "down 2": 1, "coarse 1": 3, "coarse 2": 3, "coarse 3": 3,
    "up 2": 1, "middle 3": 3, "middle 4": 3,
    "up 1": 1, "fine 2": 3, "fine 3": 3, "leave": 3,
}  # fmt: skip


def widths(channels: int, fine: int, middle: int, coarse: int) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of each layer, for features of so many channels."""
    return {
        "enter": (2 * FINE**2, fine), "fine 1": (fine, fine),
        "down 1": (4 * fine, middle), "features": (channels, middle),
        "middle 1": (middle, middle), "middle 2": (middle, middle),
        "down 2": (4 * middle, coarse), "coarse 1": (coarse, coarse),
        "coarse 2": (coarse, coarse), "coarse 3": (coarse, coarse),
        "up 2": (coarse, 4 * middle), "middle 3": (middle, middle), "middle 4": (middle, middle),
        "up 1": (middle, 4 * fine), "fine 2": (fine, fine), "fine 3": (fine, fine),
        "leave": (fine, FINE**2),
    }  # fmt: skip


def check(kernels: Sequence[Array], biases: Sequence[Array], *channels: int) -> None:
    """Raise ValueError unless these are the weights of a network of so many channels."""
    shapes = [(*kernel.shape, *bias.shape) for kernel, bias in zip(kernels, biases, strict=False)]
    if len(kernels) == len(biases) == len(LAYERS) and set(map(len, shapes)) == {5}:
        fine, middle, coarse = (shapes[k][3] for k in (0, 2, 6))
        expected = widths(channels[0], fine, middle, coarse)
        wanted = [(side, side, *expected[name], expected[name][1]) for name, side in LAYERS.items()]
        if shapes == wanted and len(set(channels)) == 1:
            return
    raise ValueError(
        f"expected the kernels (side, side, inputs, outputs) and biases of {len(LAYERS)} layers of "
        f"a restorer for {channels[0]} features; got {shapes}."
    )


def change(
    kernels: Sequence[Array], biases: Sequence[Array], mean: Array, spread: Array, vectors: Array
) -> Array:
    """What the network adds to a mean of pre-images, (N, 1, H, W).

    Parameters
    ----------
    kernels, biases : sequences of array
        Of `LAYERS`: (side, side, inputs, outputs) and (outputs,).
    mean, spread : array, shape (N, 1, H, W)
        H and W are multiples of 16.
    vectors : array, shape (N, channels, H / 8, W / 8)
    """
    xp = array_namespace(mean)
    weights = dict(zip(LAYERS, zip(kernels, biases, strict=True), strict=True))

    def layer(name: str, x: Array) -> Array:
        kernel, bias = (xp.asarray(a, dtype=mean.dtype, device=device(mean)) for a in weights[name])
        return _convolved(x, kernel, bias)

    def passed(name: str, x: Array) -> Array:
        return _positive(layer(name, x))

    def residual(x: Array, *names: str) -> Array:
        for name in names:
            x = x + passed(name, x)
        return x

    pixels = xp.concat([mean, spread], axis=1)
    fine = residual(
        passed("enter", gathered(xp.permute_dims(pixels, (0, 2, 3, 1)), FINE)), "fine 1"
    )
    middle = layer("down 1", gathered(fine, 2))
    middle = middle + layer("features", xp.permute_dims(vectors, (0, 2, 3, 1)))
    middle = residual(_positive(middle), "middle 1", "middle 2")
    coarse = passed("down 2", gathered(middle, 2))
    coarse = residual(coarse, "coarse 1", "coarse 2", "coarse 3")
    middle = middle + _positive(spread_out(layer("up 2", coarse), 2))
    middle = residual(middle, "middle 3", "middle 4")
    fine = fine + _positive(spread_out(layer("up 1", middle), 2))
    fine = residual(fine, "fine 2", "fine 3")
    return xp.permute_dims(spread_out(layer("leave", fine), FINE), (0, 3, 1, 2))


def _positive(x: Array) -> Array:
    xp = array_namespace(x)
    return x * xp.astype(x > 0, x.dtype)


def gathered(x: Array, side: int) -> Array:
    """Squares of side × side positions as one, their channels one after the other."""
    xp = array_namespace(x)
    count, height, width, channels = x.shape
    cut = xp.reshape(x, (count, height // side, side, width // side, side, channels))
    cut = xp.permute_dims(cut, (0, 1, 3, 5, 2, 4))
    return xp.reshape(cut, (count, height // side, width // side, channels * side**2))


def spread_out(x: Array, side: int) -> Array:
    """Undoes `gathered`."""
    xp = array_namespace(x)
    count, height, width, channels = x.shape
    cut = xp.reshape(x, (count, height, width, channels // side**2, side, side))
    cut = xp.permute_dims(cut, (0, 1, 4, 2, 5, 3))
    return xp.reshape(cut, (count, height * side, width * side, channels // side**2))


def _convolved(x: Array, kernel: Array, bias: Array) -> Array:
    """Positions under a kernel (side, side, inputs, outputs), zero outside."""
    xp = array_namespace(x)
    side, outputs = kernel.shape[0], kernel.shape[3]
    if side == 1:
        return xp.matmul(x, kernel[0, 0, ...]) + bias
    count, height, width, inputs = x.shape
    margin = side // 2
    padded = xp.zeros(
        (count, height + 2 * margin, width + 2 * margin, inputs), dtype=x.dtype, device=device(x)
    )
    padded[:, margin : margin + height, margin : margin + width, :] = x
    shifted = [
        padded[:, i : i + height, j : j + width, :] for i in range(side) for j in range(side)
    ]
    flat = xp.reshape(kernel, (side * side * inputs, outputs))
    return xp.matmul(xp.concat(shifted, axis=-1), flat) + bias
