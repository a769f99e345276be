"""TorchEncoder: a layer of any torch model as an image representation."""

from __future__ import annotations

import contextlib
import copy
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor, fx, nn

import repinv
from repinv_cnn import _cut, _refusals
from repinv_cnn._plain import Plain
from repinv_cnn._replays import Replayed
from repinv_cnn._tape import pulled
from repinv_cnn.preprocess import Preprocess

#: A pullback, as `repinv.Encoder` has it.
Pullback: TypeAlias = Callable[[Any], Any]
#: Of the outputs of the layers for one image.
Shapes: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class TorchEncoder(repinv.Encoder):
    """The output of a layer of a torch model, as a differentiable image representation.

    Parameters
    ----------
    module : nn.Module
        Any model that takes a batch of images. A copy of what comes before the layer is kept,
        frozen and in evaluation mode; the model itself is left as it is.
    layer : str, sequence of str, or mapping of str to float
        Dotted name as in ``module.named_modules()``; 'name:k' is the k-th call of a layer that
        is called more than once. Several layers make one vector, in which each counts by its
        relative error, times its weight in a mapping.
    preprocess : callable, optional
        Images in [0, 1] to the module's input, differentiable: a `Preprocess`, or a function of
        yours. By default the module takes images in [0, 1].
    device : device, optional
        Where to compute; by default where the module's weights are.
    dtype : dtype
        torch.float32, or torch.float64 to check with.
    channels : int or None
        Channels of the images; by default those of `preprocess`, or 3.
    autocast : dtype or None
        Compute in mixed precision, such as torch.bfloat16; features come back in `dtype`.
    channels_last : bool
        Memory format of convolutions; faster where convolutions prefer it.
    compiled : bool
        Run through ``torch.compile``: slow to start, then faster on most GPUs.
    deterministic : bool
        Allow none but torch's deterministic kernels; those of some pullbacks on GPUs are not.

    See Also
    --------
    repinv_cnn.from_torchvision : A layer of one of torchvision's classification networks.
    repinv_cnn.from_timm : A layer of one of timm's networks.
    repinv_cnn.Preprocess : Resize, gray to RGB, scale and centre: differentiable, in this order.

    Notes
    -----
    Where the model can be traced, batch norms are folded into the convolutions before them, which
    changes features by rounding alone. Operations that work in place are replaced.

    Examples
    --------
    >>> import torch, repinv_cnn
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten())
    >>> encoder = repinv_cnn.TorchEncoder(net.eval(), layer="1")
    >>> encoder.feature_shape((3, 16, 16))
    (8, 14, 14)
    """

    module: nn.Module
    layer: str | Sequence[str] | Mapping[str, float]
    preprocess: Callable[[Tensor], Tensor] | None = None
    device: torch.device | str | None = None
    dtype: torch.dtype = torch.float32
    channels: int | None = None
    autocast: torch.dtype | None = None
    channels_last: bool = True
    compiled: bool = False
    deterministic: bool = False
    #: A call reads integer pixels as fractions of white, as torchvision does.
    unit_pixels: ClassVar[bool] = True
    _names: tuple[str, ...] = field(init=False, repr=False)
    _net: nn.Module = field(init=False, repr=False)
    _forward: Callable[[Tensor], Sequence[Tensor]] = field(init=False, repr=False)
    _shapes: dict[tuple[int, ...], Shapes] = field(init=False, repr=False, default_factory=dict)
    _relaxed: dict[float, TorchEncoder] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.module, nn.Module):
            raise TypeError(
                f"TorchEncoder takes a torch.nn.Module; got {type(self.module).__name__}."
            )
        if self.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"dtype must be torch.float32 or torch.float64; got {self.dtype}. "
                "For half precision, set autocast."
            )
        names = (self.layer,) if isinstance(self.layer, str) else tuple(self.layer)
        if not names or len(set(names)) < len(names):
            raise ValueError(f"layer must name one layer, or several that differ; got {names}.")
        _cut.check_names(self.module, names)
        weights = next((p for p in self.module.parameters() if p.is_floating_point()), None)
        device = torch.device(self.device or ("cpu" if weights is None else weights.device))
        frozen = _cut.frozen(self.module).to(device=device, dtype=self.dtype)
        net = _cut.traced(frozen, names)
        if net is None and self.compiled:
            raise ValueError(
                "this module cannot be traced, and so neither cut nor compiled; leave "
                "compiled=False."
            )
        net = _cut.Hooked(frozen, names) if net is None else net
        if self.channels_last:
            net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        found = {
            "device": device,
            "channels": self.channels or getattr(self.preprocess, "channels", None) or 3,
            "_names": names,
            "_net": net,
            "_forward": self._function(net),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)

    def vjp(self, x: Any, /) -> tuple[Any, Pullback]:
        """Features (N, *F), and the pullback through layers and preprocessing.

        Tensors, or NumPy arrays where the encoder computes on the CPU; both maps return the kind
        that was given.
        """
        self._outputs_of(tuple(x.shape[1:]))
        given = _tensor(x).detach()
        with self._guarded(given):
            maps, pull_to_image = self._prepared_vjp(given)
            outputs, pull_to_maps = self._outputs_vjp(maps)

        def pullback(v: Any) -> Any:
            with self._guarded(given):
                grad = pull_to_image(pull_to_maps(self._parted(_tensor(v), outputs)))
                return _as(grad.contiguous(), v)

        return _as(self._joined(outputs), x), pullback

    def encode(self, x: Any, /) -> Any:
        """Features (N, *F), without a graph, of the kind of array that `x` is."""
        self._outputs_of(tuple(x.shape[1:]))
        given = _tensor(x)
        with torch.no_grad(), self._guarded(given):
            return _as(self._features(given), x)

    def feature_shape(self, image_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape of a layer's output; of several layers, the length of all of them."""
        shapes = self._outputs_of(tuple(image_shape))
        return shapes[0] if len(shapes) == 1 else (sum(map(math.prod, shapes)),)

    @functools.cached_property
    def unrectified(self) -> TorchEncoder | None:
        """The same encoder without the ReLU that ends its layer; None where none is seen to."""
        net = _cut.unrectified(self._net)
        if net is None:
            return None
        return self._variant(_net=net, _forward=self._function(net), _shapes={})

    def relaxed(self, width: float, /) -> TorchEncoder | None:
        """The same features, rectifiers being pulled back as bends; None where none are seen.

        Parameters
        ----------
        width : float
            Of the bends, in units of the root mean square of what each rectifier is given.
        """
        if not (
            isinstance(self._net, fx.GraphModule) and _cut.rectifiers(self._net, self._net.graph)
        ):
            return None
        if width not in self._relaxed:
            self._relaxed[width] = self._variant(_forward=self._function(self._net, width))
        return self._relaxed[width]

    def repeated(self, step: Callable[..., Any], /) -> Callable[..., Any]:
        """On CUDA devices, a step that is recorded once and replayed; elsewhere the step.

        Of traced modules without a preprocessing of the user's: what runs as Python may do
        otherwise at its next call. What torch compiles is left to it.
        """
        is_plain = self.preprocess is None or type(self.preprocess) is Preprocess
        is_traced = isinstance(self._net, fx.GraphModule) and not self.compiled
        is_cuda = torch.device(self.device or "cpu").type == "cuda"
        return Replayed(step) if is_cuda and is_traced and is_plain else step

    def _variant(self, **fields: Any) -> TorchEncoder:
        """A copy that computes otherwise, with none of what was made of this one."""
        found = copy.copy(self)
        found.__dict__.update({"_relaxed": {}, "unrectified": None, **fields})
        return found

    @property
    def descriptor_axis(self) -> int | None:
        """0 for maps (C, h, w), whose places hold C channels each; None for other features."""
        for side in (224, 64, 32, 16, 8):
            with contextlib.suppress(ValueError):
                return 0 if len(self.feature_shape((self.channels or 3, side, side))) == 3 else None
        return None

    def asarray(self, a: Any, /) -> Any:
        """Bring an array to this encoder's device and dtype.

        On the CPU that is a NumPy array sharing its memory with torch's tensors: what the solver
        does between two evaluations takes a fraction of torch's time on small images.
        """
        tensor = _tensor(np.array(a) if not isinstance(a, Tensor) else a)
        moved = tensor.detach().to(device=self.device, dtype=self.dtype)
        return moved.numpy() if moved.device.type == "cpu" else moved

    def balance(self, target: Any, image_shape: tuple[int, ...], /) -> Any:
        """Of several layers: weights that make the error the mean of theirs; otherwise None."""
        shapes = self._outputs_of(tuple(image_shape))
        if len(shapes) == 1:
            return None
        weights = self.layer if isinstance(self.layer, Mapping) else dict.fromkeys(self._names, 1.0)
        total = sum(weights.values())
        parts = torch.split(_tensor(target), [*map(math.prod, shapes)])
        found = []
        for name, part in zip(self._names, parts, strict=True):
            square = torch.dot(part, part)
            share = weights[name] / total / torch.where(square > 0, square, 1.0)
            found.append(share.expand(part.shape))
        return _as(torch.cat(found), target)

    def joined(self, features: Mapping[str, Any], /) -> Any:
        """Features of several layers, by name, as this encoder's one vector (F,)."""
        parts = [_tensor(self.asarray(features[name])).reshape(-1) for name in self._names]
        return self.asarray(torch.cat(parts))

    def split(self, features: Any, image_shape: tuple[int, ...], /) -> dict[str, Any]:
        """One vector of several layers (F,) as their outputs by name."""
        shapes = self._outputs_of(tuple(image_shape))
        flat = _tensor(self.asarray(features)).reshape(-1)
        parts = torch.split(flat, [*map(math.prod, shapes)])
        named = zip(self._names, parts, shapes, strict=True)
        return {name: _as(part.reshape(shape), features) for name, part, shape in named}

    def _function(
        self, net: nn.Module, relaxed: float = 0.0
    ) -> Callable[[Tensor], Sequence[Tensor]]:
        """A cut module as it is called, its rectifiers pulled back as bends of some width."""
        if self.compiled and not relaxed:
            return torch.compile(net)
        found = Plain(net, relaxed) if isinstance(net, fx.GraphModule) else net
        return torch.compile(found.__call__) if self.compiled else found

    def _features(self, x: Tensor) -> Tensor:
        """Outputs of the layers (N, *F), those of several as one vector."""
        return self._joined(self._outputs(self._prepared(x)))

    def _prepared(self, x: Tensor) -> Tensor:
        """Images as the layers take them."""
        return self._laid_out(x if self.preprocess is None else self.preprocess(x))

    def _prepared_vjp(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The same, and the pullback to the images."""
        if self.preprocess is None:
            return self._laid_out(x), lambda v: v
        # By hand where it is one product; a subclass may do more than its factor says.
        factor = self.preprocess.factor(x) if type(self.preprocess) is Preprocess else None
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
            outputs = self._forward(maps)
        return [output.to(self.dtype) for output in outputs]

    def _outputs_vjp(
        self, maps: Tensor
    ) -> tuple[Sequence[Tensor], Callable[[Sequence[Tensor]], Tensor]]:
        """The same, and the pullback to what the layers are given."""
        if self.autocast is None and isinstance(self._forward, Plain):
            outputs, pullback = self._forward.vjp(maps)
            kinds = [output.dtype for output in outputs]
            return [output.to(self.dtype) for output in outputs], lambda v: pullback(
                [part.to(kind) for part, kind in zip(v, kinds, strict=True)]
            )
        return pulled(self._outputs, maps)

    def _joined(self, outputs: Sequence[Tensor]) -> Tensor:
        """Features, of several layers as one vector."""
        one = len(outputs) == 1
        joined = outputs[0] if one else torch.cat([o.flatten(1) for o in outputs], dim=1)
        return joined.contiguous()

    def _parted(self, v: Tensor, outputs: Sequence[Tensor]) -> list[Tensor]:
        """A cotangent of the features, as those of the outputs."""
        if len(outputs) == 1:
            return [self._laid_out(v)]
        parts = torch.split(v, [math.prod(output.shape[1:]) for output in outputs], dim=1)
        return [
            self._laid_out(part.reshape(output.shape))
            for part, output in zip(parts, outputs, strict=True)
        ]

    def _laid_out(self, maps: Tensor) -> Tensor:
        """Maps as the layers take them; where layouts meet, every sum and product is slower."""
        if self.channels_last and maps.ndim == 4:
            return maps.contiguous(memory_format=torch.channels_last)
        return maps

    def _outputs_of(self, image_shape: tuple[int, ...]) -> Shapes:
        """Shapes of the layers' outputs for one image (C, H, W); refuses what the module does."""
        if image_shape not in self._shapes:
            if len(image_shape) != 3 or image_shape[0] != self.channels:
                raise ValueError(
                    f"the encoder takes images (C, H, W) of {self.channels} channel(s); got "
                    f"{image_shape}. For gray images set Preprocess(to_rgb=True)."
                )
            try:
                outputs = self._on_meta(image_shape)
            except _refusals.REFUSED as error:
                why = _refusals.misfit(self._on_meta, self._names, image_shape, error)
                raise ValueError(why) from None
            for name, output in zip(self._names, outputs, strict=True):
                _refusals.check_output(name, output)
            self._shapes[image_shape] = tuple(tuple(output.shape[1:]) for output in outputs)
        return self._shapes[image_shape]

    def _on_meta(self, image_shape: tuple[int, ...]) -> Sequence[Tensor]:
        """Outputs of the layers for two images, on the meta device: nothing is computed."""
        tensors = {**dict(self._net.named_parameters()), **dict(self._net.named_buffers())}
        on_meta = {name: values.to("meta") for name, values in tensors.items()}
        x = torch.zeros((2, *image_shape), dtype=self.dtype, device="meta")
        with torch.no_grad():
            y = x if self.preprocess is None else self.preprocess(x)
            if isinstance(self._net, _cut.Hooked):
                whole = {n.removeprefix("module."): values for n, values in on_meta.items()}
                inner = self._net.module
                _cut.count_calls(
                    inner, self._names, lambda: torch.func.functional_call(inner, whole, (y,))
                )
            return torch.func.functional_call(self._net, on_meta, (y,))  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def _guarded(self, x: Tensor) -> Iterator[None]:
        """Deterministic kernels where asked for; where memory ends, says which batch fits."""
        before = torch.are_deterministic_algorithms_enabled()
        if self.deterministic:
            torch.use_deterministic_algorithms(True)
        try:
            yield
        except torch.OutOfMemoryError:
            raise MemoryError(_refusals.too_large(self._tried, x)) from None
        finally:
            if self.deterministic:
                torch.use_deterministic_algorithms(before)

    def _tried(self, x: Tensor) -> None:
        """Take a batch there and back, for what memory that needs."""
        maps, _ = self._prepared_vjp(x)
        outputs, pull_to_maps = self._outputs_vjp(maps)
        pull_to_maps(outputs)


def _tensor(a: Any) -> Tensor:
    """An array as a tensor; of NumPy's, the memory is shared."""
    if isinstance(a, Tensor):
        return a
    return torch.from_numpy(a if a.flags.writeable and min(a.strides, default=0) >= 0 else a.copy())


def _as(tensor: Tensor, like: Any) -> Any:
    """A tensor as the kind of array that `like` is."""
    return tensor if isinstance(like, Tensor) else tensor.numpy()
