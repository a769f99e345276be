"""Activations with a surrogate slope in the pullback; their outputs are exact.

A unit that is off passes no gradient back, so that no step switches it on; one that is barely on
passes all of it, up to the step that switches it off. The slope of a smooth activation in its place
changes gradually over a range of inputs. The activations are those of one or two kinks: ReLU, leaky
and parametric ReLU, ReLU6 and other clips, hard sigmoid, hard swish; and max-pooling. Smooth ones
keep their own slope: with that of ReLU in its place SiLU ended at hundreds of times the error, and
GELU at the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numba
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from repinv_cnn._graph import max_pooling
from repinv_cnn._graph.max_pooling import MaxPooling

#: Of s², so that where x is zero everywhere half of v is passed, not NaN.
_LEAST = 1e-30


class Kinks(NamedTuple):
    """A slope: `base`, `rise` more above `low`, and `fall` less above `high`."""

    base: float = 0.0
    low: float = 0.0
    rise: float = 1.0
    high: float = 0.0
    fall: float = 0.0


_OF_RELU = Kinks()


@dataclass(frozen=True)
class Activation:
    """An activation of one or two kinks.

    Attributes
    ----------
    name : str
        Of torch's function.
    options : tuple
        Its arguments after the first.
    kinks : Kinks
    """

    name: str
    options: tuple[Any, ...] = ()
    kinks: Kinks = _OF_RELU

    def __call__(self, x: Tensor) -> Tensor:
        """What torch computes, as a new tensor."""
        found: Tensor = _FUNCTIONS[self.name](x, *self.options)
        return found

    def pull(self, v: Tensor, x: Tensor, width: float) -> Tensor:
        """v times a smooth slope.

        Each jump of the slope at k, 1 for x > k, becomes ½(1 + (x − k)/√((x − k)² + s²)), s being
        `width` times the root mean square of x in each image. For ReLU that is the slope of
        ½(x + √(x² + s²)) ('squareplus', Barron, arXiv:2112.11687, 2021).
        """
        if self.name == "hardswish":  # x·σ(x): its own hard sigmoid, and the slope of that
            return v * functional.hardsigmoid(x) + _pull(v * x, x, width, self.kinks)
        if self.name == "prelu":
            shape = (-1, *[1] * (x.ndim - 2))
            slopes: Tensor = self.options[0].detach().reshape(shape if x.ndim > 1 else (-1,))
            return v * slopes + _pull(v * (1 - slopes), x, width, self.kinks)
        return _pull(v, x, width, self.kinks)


#: What has a surrogate slope: called for its exact output, its `pull` is the pullback.
Kinked: TypeAlias = Activation | MaxPooling


class _Surrogate(torch.autograd.Function):
    """An activation or a pooling, and its pullback with a surrogate slope."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, width: float, activation: Kinked) -> Tensor:
        ctx.save_for_backward(x)
        ctx.width, ctx.activation = width, activation
        return activation(x)

    @staticmethod
    def backward(ctx: Any, *v: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return ctx.activation.pull(v[0], x, ctx.width), None, None


def surrogate(x: Tensor, width: float, activation: Kinked) -> Tensor:
    """An activation or a pooling of x whose pullback has a surrogate slope."""
    found: Tensor = _Surrogate.apply(x, width, activation)  # type: ignore[no-untyped-call]
    return found


RELU = Activation("relu")
#: max(0, min(1, x/6 + ½)).
_SIGMOID = Kinks(low=-3.0, rise=1 / 6, high=3.0, fall=1 / 6)


def _clip(low: float = -1.0, high: float = 1.0) -> Activation:
    """The clip to an interval."""
    return Activation("hardtanh", (low, high), Kinks(low=low, high=high, fall=1.0))


def _leaky(slope: float = 0.01) -> Activation:
    """ReLU with a slope below zero."""
    return Activation("leaky_relu", (slope,), Kinks(base=slope, rise=1 - slope))


#: How an activation is made of the arguments of torch's function of that name, after x and without
#: `inplace`.
_MAKERS: dict[str, Callable[..., Activation]] = {
    "relu": lambda: RELU,
    "relu6": lambda: _clip(0.0, 6.0),
    "hardtanh": lambda min_val=-1.0, max_val=1.0: _clip(min_val, max_val),
    "hardsigmoid": lambda: Activation("hardsigmoid", (), _SIGMOID),
    "hardswish": lambda: Activation("hardswish", (), _SIGMOID),
    "leaky_relu": lambda negative_slope=0.01: _leaky(negative_slope),
    "prelu": lambda weight: Activation("prelu", (weight,)),
}
_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    name: getattr(functional, name) for name in _MAKERS
} | {"relu": torch.relu}
#: Functions and methods by which these are called, as name and whether they change their argument.
_CALLED: dict[Any, tuple[str, bool]] = {
    getattr(place, name + end): (name, bool(end))
    for name in _MAKERS
    for end in ("", "_")
    for place in (functional, torch, torch.Tensor, torch._C._nn)
    if hasattr(place, name + end)
}
#: Arguments of max-pooling, as torch's function and module name them.
_POOLING = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
#: Modules of these kinds, their subclasses not among them, and the arguments that they hold.
_MODULES: dict[type[nn.Module], tuple[str, tuple[str, ...]]] = {
    nn.ReLU: ("relu", ()),
    nn.ReLU6: ("relu6", ()),
    nn.Hardtanh: ("hardtanh", ("min_val", "max_val")),
    nn.Hardsigmoid: ("hardsigmoid", ()),
    nn.Hardswish: ("hardswish", ()),
    nn.LeakyReLU: ("leaky_relu", ("negative_slope",)),
    nn.PReLU: ("prelu", ("weight",)),
}


def of_module(module: nn.Module) -> Kinked | None:
    """The activation or pooling that a module computes; None of other modules."""
    if type(module) is nn.MaxPool2d:
        return max_pooling.of_arguments(*(getattr(module, name) for name in _POOLING))
    name, held = _MODULES.get(type(module), (None, ()))
    return None if name is None else _MAKERS[name](*(getattr(module, each) for each in held))


def of_call(
    function: Any, args: tuple[Any, ...], options: dict[str, Any]
) -> tuple[Kinked, Any, bool] | None:
    """What a call computes that has a surrogate slope, of what, and whether in place; else None.

    Parameters
    ----------
    function : callable or str
        Or the name of a method.
    args : tuple
    options : dict
        Arguments by name.
    """
    if isinstance(function, str):
        function = getattr(torch.Tensor, function, None)
    if function in (functional.max_pool2d, torch.max_pool2d):
        given = dict(zip(("input", *_POOLING), args, strict=False)) | options
        x = given.pop("input")
        pooling = max_pooling.of_arguments(**given)
        return None if pooling is None else (pooling, x, False)
    name, in_place = _CALLED.get(function, (None, False)) if function.__hash__ else (None, False)
    if name is None:
        return None
    given = {key: value for key, value in options.items() if key not in ("inplace", "input")}
    x, *rest = args if args else (options["input"],)
    if name != "prelu":
        rest, flags = ([a for a in rest if is_flag == isinstance(a, bool)] for is_flag in (0, 1))
        in_place = in_place or any(flags)
    return _MAKERS[name](*rest, **given), x, in_place or bool(options.get("inplace"))


def _pull(v: Tensor, x: Tensor, width: float, kinks: Kinks) -> Tensor:
    """v times a slope whose jumps are smooth."""
    layout = None if torch.compiler.is_compiling() else _layout(x)
    if layout is not None:
        out = torch.empty_like(x)
        v = v.contiguous(memory_format=layout)
        _pull_rows(_rows(v, layout), _rows(x, layout), width, kinks, _rows(out, layout))
        return out
    norm = torch.linalg.vector_norm(x, dim=tuple(range(1, x.ndim)), keepdim=True)
    square = norm.square_().mul_(width**2 * len(x) / x.numel()).add_(_LEAST)
    if x.is_cuda and not torch.compiler.is_compiling() and kinks == _OF_RELU:
        return _fused()(v, x, square)
    slope = _above(x - kinks.low if kinks.low else x, square).mul_(kinks.rise)
    if kinks.fall:
        slope = slope.sub_(_above(x - kinks.high, square), alpha=kinks.fall)
    return slope.add_(kinks.base).mul_(v) if kinks.base else slope.mul_(v)


def _above(x: Tensor, square: Tensor) -> Tensor:
    """½(1 + x/√(x² + s²)), of s²; in few operations, (r + x)/2r."""
    return torch.addcmul(square, x, x).rsqrt_().mul_(x).add_(1.0).mul_(0.5)


@functools.cache
def _fused() -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """That of ReLU as one kernel of a GPU, of v, x and s²: memory is read once, not six times."""
    fused: Callable[[Tensor, Tensor, Tensor], Tensor] = torch.cuda.jiterator._create_jit_fn(
        "template <typename T> T surrogate(T v, T x, T square)"
        "{ T r = sqrt(x * x + square); return v * (r + x) / (r + r); }"
    )
    return fused


@numba.njit(
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath={"contract", "nsz", "arcp", "reassoc"},
)
def _pull_rows(v: np.ndarray, x: np.ndarray, width: float, kinks: Kinks, out: np.ndarray) -> None:
    """The same for values as they lie in memory, (N, D)."""
    count, size = x.shape
    kind = x.dtype.type
    half, base = kind(0.5), kind(kinks.base)
    low, rise, high, fall = kind(kinks.low), kind(kinks.rise), kind(kinks.high), kind(kinks.fall)
    is_double = kinks.fall != 0.0
    for n in range(count):
        total = 0.0
        for k in range(size):
            total += float(x[n, k]) * float(x[n, k])
        square = kind(width * width * total / size + _LEAST)
        if is_double:
            for k in range(size):
                a, b = x[n, k] - low, x[n, k] - high
                up = half * (1 + a / np.sqrt(a * a + square))
                down = half * (1 + b / np.sqrt(b * b + square))
                out[n, k] = v[n, k] * (base + rise * up - fall * down)
        else:
            for k in range(size):
                a = x[n, k] - low
                r = np.sqrt(a * a + square)
                out[n, k] = v[n, k] * (base + rise * (r + a) / (r + r))


def _layout(x: Tensor) -> torch.memory_format | None:
    """Memory format of a tensor whose images NumPy can be shown as dense rows; None of others."""
    if not x.is_cpu or x.dtype not in (torch.float32, torch.float64):
        return None
    if x.is_contiguous():
        return torch.contiguous_format
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return None


def _rows(maps: Tensor, layout: torch.memory_format) -> np.ndarray:
    """Every image's values as they lie in memory, (N, D); of the memory of `maps`."""
    values: np.ndarray = maps.numpy()
    if layout is torch.channels_last:
        values = values.transpose(0, 2, 3, 1)
    return values.reshape((values.shape[0], -1))
