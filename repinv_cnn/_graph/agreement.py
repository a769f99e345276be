"""The ways in which layers are computed, and which is taken: the fastest that agrees with torch.

A traced graph with folded batch norms, or another layout of memory, takes less time than the module
that was given. It is taken only where it gives what the module gives, features and gradients, on
an image of the size at hand; elsewhere the module itself is run.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, fx, nn

from repinv_cnn._graph import extraction, preparation
from repinv_cnn._graph.compiled import Plain
from repinv_cnn._graph.layers import Layers
from repinv_cnn._graph.tape import pulled

#: What a module may raise for an input that it does not take, or an operation that is not its.
_FAILED = (RuntimeError, ValueError, TypeError, IndexError, AttributeError, AssertionError)
#: Relative differences allowed of features and of gradients, by precision. In float32 rounding
#: changes which of two values is the larger, and with it gradients of VGG-16 by .7 %.
_ALIKE = {torch.float32: (1e-4, 2e-2), torch.float64: (1e-10, 1e-8)}
#: Held while a module is tried on images of a new size.
LOCK = threading.RLock()
#: Width of the surrogate slopes that gradients are compared with.
_WIDTH = 1.0

#: Computes layers: outputs by a call; outputs and their pullback by `vjp`.
Function: TypeAlias = Any


class Way(NamedTuple):
    """How layers are computed: by a traced graph or the module, in which layout of memory."""

    traced: bool
    channels_last: bool


#: The module as it was given.
_AS_GIVEN = Way(traced=False, channels_last=False)


class Ways:
    """The ways of one module, with those left out that were found to differ from it.

    Parameters
    ----------
    module : nn.Module
        Frozen.
    names : sequence of str
        Of layers.
    channels_last : bool
        Whether that layout is tried.
    compiled : bool
        Whether traced graphs are given to ``torch.compile``.

    Attributes
    ----------
    current : Way
        The one taken at present.
    reference : Layers
        The module itself.
    """

    def __init__(
        self, module: nn.Module, names: Sequence[str], channels_last: bool, compiled: bool
    ) -> None:
        self._names, self._compiled = tuple(names), compiled
        self._cuts: dict[bool, fx.GraphModule | None] = {}
        self._bare = preparation.sharing(module)  # without the hooks that follow
        layouts = (True, False) if channels_last else (False,)
        is_traced = self._cut(layouts[0]) is not None
        self.reference = Layers(module, names)
        self._ways = [Way(True, layout) for layout in layouts if is_traced]
        self._ways += [Way(False, layout) for layout in layouts]
        self._built: dict[Any, Function] = {}
        self._seen: dict[Way, tuple[bool, bool]] = {}

    @property
    def current(self) -> Way:
        """The one taken at present."""
        return self._ways[0]

    @property
    def is_traced(self) -> bool:
        """Whether a traced graph is taken at present."""
        return self._ways[0].traced

    @functools.cached_property
    def dry(self) -> Layers:
        """A copy that shares the weights, to be run with others for a while, by one thread."""
        return self.reference.of(preparation.sharing(self.reference.module))

    def function(self, width: float = 0.0, is_before: bool = False) -> Function:
        """What computes the layers at present.

        Parameters
        ----------
        width : float
            Of the surrogate slopes of activations; 0 for their own.
        is_before : bool
            Whether outputs are those before a final ReLU.
        """
        key = self._ways[0], width, is_before
        if key not in self._built:
            self._built[key] = self._build(*key)
        return self._built[key]

    def rectifies(self, sample: Callable[[], Tensor]) -> tuple[bool, bool]:
        """Whether activations have surrogate slopes, and whether ReLU ends each layer.

        Parameters
        ----------
        sample : callable
            Gives an input of the module, where it has to be run to know.
        """
        way = self._ways[0]
        if way not in self._seen:
            cut = self._cut(way.channels_last) if way.traced else None
            if cut is None:
                self._seen[way] = self.reference.rectifies(sample())
            else:
                found = extraction.activations(cut, cut.graph)
                self._seen[way] = bool(found), extraction.pre_activations(cut) is not None
        return self._seen[way]

    def check(self, maps: Tensor) -> None:
        """Leave out the ways that do not give what the module gives.

        Parameters
        ----------
        maps : Tensor
            An input of the module.
        """
        if maps.is_meta:
            return
        with torch.no_grad():
            expected = None if self._ways[0] == _AS_GIVEN else self.reference(maps)
        while self._ways[0] != _AS_GIVEN:
            if self._has_features(maps, expected) and self._has_gradient(maps):
                return
            self._ways.pop(0)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is built of the rest."""
        state = self.__dict__ | {"_built": {}}
        state.pop("dry", None)
        return state

    def _cut(self, channels_last: bool) -> fx.GraphModule | None:
        """The traced graph in a layout, or None."""
        if channels_last not in self._cuts:
            cut = extraction.traced(preparation.sharing(self._bare), self._names)
            if cut is not None and channels_last:
                preparation.laid_out(cut)
            self._cuts[channels_last] = cut
        return self._cuts[channels_last]

    def _build(self, way: Way, width: float, is_before: bool) -> Function:
        """What computes the layers in one of the ways."""
        if not way.traced:
            layers = self.reference
            if way.channels_last:
                key = way, 0.0, False
                if key not in self._built:
                    moved = preparation.laid_out(preparation.sharing(layers.module))
                    self._built[key] = layers.of(moved)
                layers = self._built[key]
            return layers.variant(width, is_before) if width or is_before else layers
        cut = self._cut(way.channels_last)
        if cut is not None and is_before:
            cut = extraction.pre_activations(cut)
        assert cut is not None
        if self._compiled:
            return _Compiled(torch.compile(Plain(cut, width).__call__ if width else cut))
        return Plain(cut, width)

    def _has_features(self, maps: Tensor, expected: list[Tensor] | None) -> bool:
        """Whether the present way gives the features that the module gives."""
        relative = _ALIKE.get(maps.dtype, _ALIKE[torch.float32])[0]
        try:
            with torch.no_grad():
                outputs = self.function()(laid_out(maps, self._ways[0].channels_last))
        except _FAILED:
            return False
        return all(
            a.shape == b.shape and a.dtype == b.dtype and _is_near(a, b, relative)
            for a, b in zip(outputs, expected or (), strict=True)
        )

    def _has_gradient(self, maps: Tensor) -> bool:
        """Whether its gradient is the module's, or the module has none.

        With surrogate slopes, since those of activations jump where rounding changes a sign; or
        without them, since maxima of rectified values have several slopes where all are zero.
        """
        relative = _ALIKE.get(maps.dtype, _ALIKE[torch.float32])[1]
        for width in (0.0,) if self._compiled else (_WIDTH, 0.0):
            try:
                expected = _gradient(self.reference.variant(width, False), maps)
            except ValueError:
                return True
            try:
                function = self.function(width)
                found = _gradient(function, laid_out(maps, self._ways[0].channels_last))
            except _FAILED:
                return False
            if _is_near(found, expected, relative):
                return True
        return False


class _Compiled:
    """What ``torch.compile`` returns, pulled back by autograd."""

    def __init__(self, function: Callable[[Tensor], Sequence[Tensor]]) -> None:
        self._function = function

    def __call__(self, x: Tensor) -> Sequence[Tensor]:
        return self._function(x)

    def vjp(self, x: Tensor) -> Any:
        """Outputs and their pullback, which may be called more than once."""
        with _kept():
            outputs, pull = pulled(self._function, x)

        def pullback(v: Sequence[Tensor]) -> Tensor:
            with _kept():
                return pull(v)

        return outputs, pullback


def _kept() -> contextlib.AbstractContextManager[object]:
    """Compiled pullbacks keep what they need for a second call."""
    from torch._functorch import config  # loaded with torch's compiler, and not before

    found: contextlib.AbstractContextManager[object] = config.patch(donated_buffer=False)
    return found


def laid_out(maps: Tensor, channels_last: bool) -> Tensor:
    """Maps in a layout of memory; where layouts meet, every sum and product is slower."""
    if channels_last and maps.ndim == 4:
        return maps.contiguous(memory_format=torch.channels_last)
    return maps.contiguous()


def _gradient(function: Function, maps: Tensor) -> Tensor:
    """Random cotangents of what a function gives, pulled back."""
    outputs, pullback = function.vjp(maps)
    found: Tensor = pullback([_cotangent(output) for output in outputs])
    return found


def _cotangent(output: Tensor) -> Tensor:
    """Random numbers in the shape of an output, the same ones every time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(output.shape, generator=generator).to(output.device, output.dtype)


def _is_near(found: Tensor, expected: Tensor, relative: float) -> bool:
    """Whether two tensors are alike, up to a share of the norm of the second."""
    apart = torch.linalg.vector_norm((found - expected).double())
    return bool(apart <= relative * torch.linalg.vector_norm(expected.double()))
