"""From images to features and back: preprocessing, layers, and several outputs as one vector."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from repinv_cnn._graph import errors
from repinv_cnn._graph.agreement import Function, Ways, laid_out
from repinv_cnn._graph.tape import pulled
from repinv_cnn._graph.tokens import Choice
from repinv_cnn._graph.trials import Shapes
from repinv_cnn.preprocess import Preprocess


@dataclass(frozen=True, eq=False)
class Pipeline:
    """What maps a batch of images to features, and cotangents of these to cotangents of the images.

    Parameters
    ----------
    ways : Ways
        Of computing the layers.
    prepare : callable or None
        Images in [0, 1] to the module's input.
    dtype : dtype
        Of the features.
    autocast : dtype or None
        Of mixed precision.
    deterministic : bool
        Whether none but deterministic kernels are allowed.
    choice : Choice or None
        What is taken of outputs that are tokens.
    width : float
        Of the surrogate slopes of activations; 0 for their own.
    is_before : bool
        Whether outputs are those before a final ReLU.
    """

    ways: Ways
    prepare: Callable[[Tensor], Tensor] | None
    dtype: torch.dtype
    autocast: torch.dtype | None
    deterministic: bool
    choice: Choice | None
    width: float = 0.0
    is_before: bool = False

    def features(self, x: Tensor, shapes: Shapes) -> Tensor:
        """Outputs of the layers (N, *F), those of several as one vector."""
        return self._joined(self._outputs(self._prepared(x)), shapes)

    def vjp(self, x: Tensor, shapes: Shapes) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Features of a batch, and the pullback of their cotangents to the images."""
        with self.guarded(x):
            maps, pull_to_image = self._prepared_vjp(x)
            outputs, pull_to_maps = self._outputs_vjp(maps)

        def pullback(v: Tensor) -> Tensor:
            with self.guarded(x):
                return pull_to_image(pull_to_maps(self._parted(v, outputs, shapes))).contiguous()

        return self._joined(outputs, shapes), pullback

    @contextlib.contextmanager
    def guarded(self, x: Tensor) -> Iterator[None]:
        """Deterministic kernels where asked for; where memory ends, says which batch fits."""
        before = torch.are_deterministic_algorithms_enabled()
        if self.deterministic:
            torch.use_deterministic_algorithms(True)
        try:
            yield
        except torch.OutOfMemoryError:
            raise MemoryError(errors.too_large(self._tried, x)) from None
        finally:
            if self.deterministic:
                torch.use_deterministic_algorithms(before)

    @property
    def function(self) -> Function:
        """What computes the layers at present."""
        return self.ways.function(self.width, self.is_before)

    def _prepared(self, x: Tensor) -> Tensor:
        """Images as the layers take them."""
        return self._laid_out(x if self.prepare is None else self.prepare(x))

    def _prepared_vjp(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The same, and the pullback to the images."""
        if self.prepare is None:
            return self._laid_out(x), lambda v: v
        # By hand where it is one product; a subclass may do more than its factor says.
        factor = self.prepare.factor(x) if type(self.prepare) is Preprocess else None
        if factor is not None:
            maps = self._prepared(x)
            if maps.shape == x.shape:
                return maps, lambda v: v * factor
        (maps,), pull = pulled(lambda leaf: (self._prepared(leaf),), x)
        return maps, lambda v: pull((v,))

    def _outputs(self, maps: Tensor) -> Sequence[Tensor]:
        """What each of the layers gives."""
        mixed: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        if self.autocast is not None:
            mixed = torch.autocast(maps.device.type, self.autocast)
        with mixed:
            outputs = self.function(maps)
        return [output.to(self.dtype) for output in outputs]

    def _outputs_vjp(
        self, maps: Tensor
    ) -> tuple[Sequence[Tensor], Callable[[Sequence[Tensor]], Tensor]]:
        """The same, and the pullback to what the layers are given."""
        if self.autocast is None:
            outputs, pullback = self.function.vjp(maps)
            kinds = [output.dtype for output in outputs]
            return [output.to(self.dtype) for output in outputs], lambda v: pullback(
                [part.to(kind) for part, kind in zip(v, kinds, strict=True)]
            )
        return pulled(self._outputs, maps)

    def _joined(self, outputs: Sequence[Tensor], shapes: Shapes) -> Tensor:
        """Features, of several layers as one vector."""
        if self.choice is not None:
            outputs = [self.choice.take(o, s) for o, s in zip(outputs, shapes, strict=True)]
        one = len(outputs) == 1
        joined = outputs[0] if one else torch.cat([o.flatten(1) for o in outputs], dim=1)
        return joined.contiguous()

    def _parted(self, v: Tensor, outputs: Sequence[Tensor], shapes: Shapes) -> list[Tensor]:
        """A cotangent of the features, as those of the outputs."""
        parts = [v]
        if len(outputs) > 1:
            flat = torch.split(v, [*map(math.prod, shapes)], dim=1)
            parts = [part.reshape(-1, *s) for part, s in zip(flat, shapes, strict=True)]
        if self.choice is not None:
            parts = [self.choice.put(v, o) for v, o in zip(parts, outputs, strict=True)]
        return [self._laid_out(part) for part in parts]

    def _laid_out(self, maps: Tensor) -> Tensor:
        """Maps in the layout of memory that the layers are computed in."""
        return laid_out(maps, self.ways.current.channels_last)

    def _tried(self, x: Tensor) -> None:
        """Take a batch there and back, for what memory that needs."""
        maps, _ = self._prepared_vjp(x)
        outputs, pull_to_maps = self._outputs_vjp(maps)
        pull_to_maps(outputs)
