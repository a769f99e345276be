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
from torch import Tensor, nn

import repinv
from repinv_cnn._graph import errors, forward_mode, preparation
from repinv_cnn._graph.agreement import LOCK, Ways, laid_out
from repinv_cnn._graph.cuda_graphs import Replayed
from repinv_cnn._graph.tape import pulled
from repinv_cnn.preprocess import Preprocess

#: A pullback, as `repinv.Encoder` has it.
Pullback: TypeAlias = Callable[[Any], Any]
#: A pushforward, likewise.
Pushforward: TypeAlias = Callable[[Any], Any]
#: Of the outputs of the layers for one image.
Shapes: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class TorchEncoder(repinv.Encoder):
    """The output of a layer of a torch model, as a differentiable image representation.

    Parameters
    ----------
    module : nn.Module
        Any model that takes a batch of images. A copy is kept, frozen and in evaluation mode;
        the model itself is left as it is. `DataParallel` and compiled models are unwrapped.
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
        Channels of the images; by default those of `preprocess`, or of the module's first
        convolution.
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
    Features and gradients are those of the model as torch runs it, in evaluation mode: operations
    in place, views and hooks included. Where the model can be traced, batch norms are folded into
    the convolutions before them and the graph is pulled back step by step, which is faster. At the
    first image of each size that is compared with the model itself, which is run instead where
    features differ by more than 1e-4 of their norm, or gradients by more than 2 %.

    Threads may share an encoder. Surrogate slopes are those of ReLU, whoever calls it.

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
    is_network: ClassVar[bool] = True
    _names: tuple[str, ...] = field(init=False, repr=False)
    _ways: Ways = field(init=False, repr=False)
    _shapes: dict[tuple[int, ...], Shapes] = field(init=False, repr=False, default_factory=dict)
    _with_slopes: dict[float, TorchEncoder] = field(init=False, repr=False, default_factory=dict)
    #: Width of the surrogate slopes of rectifiers, and whether a final rectifier is left out.
    _width: float = field(init=False, repr=False, default=0.0)
    _is_before: bool = field(init=False, repr=False, default=False)

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
        module = preparation.unwrapped(self.module)
        names = preparation.names_of(self.layer, module)
        weights = next((p for p in module.parameters() if p.is_floating_point()), None)
        device = torch.device(self.device or ("cpu" if weights is None else weights.device))
        frozen = preparation.frozen(module).to(device=device, dtype=self.dtype)
        ways = Ways(frozen, names, self.channels_last, self.compiled)
        if self.compiled and not ways.is_traced:
            raise ValueError(
                "this module cannot be traced, and so neither cut nor compiled; leave "
                "compiled=False."
            )
        channels = self.channels or getattr(self.preprocess, "channels", None)
        found = {
            "device": device,
            "channels": channels or preparation.first_channels(module),
            "_names": names,
            "_ways": ways,
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

    def jvp(self, x: Any, /) -> tuple[Any, Pushforward] | None:
        """Features (N, *F), and the map of changes of the images to theirs, by forward mode.

        None with surrogate slopes, which are of the pullback alone, and of modules with an
        operation that torch has no forward mode of.
        """
        if self._width:
            return None
        given = _tensor(x).detach()
        push = forward_mode.pushed(self._features, given)
        if push is None:
            return None

        def pushforward(v: Any) -> Any:
            with self._guarded(given):
                return _as(push(_tensor(v)), v)

        return self.encode(x), pushforward

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
    def pre_activations(self) -> TorchEncoder | None:
        """The same encoder without the ReLU that ends its layer; None where none is seen to."""
        if self._is_before or not self._ways.rectifies(self._sample)[1]:
            return None
        return self._variant(_is_before=True)

    @functools.cached_property
    def is_classifier(self) -> bool:
        """Whether the layer is the module's last linear one, and has the shape of its output."""
        return self._ways.reference.are_logits(self._sample)

    def with_surrogate_slopes(self, width: float, /) -> TorchEncoder | None:
        """The same features with surrogate slopes of rectifiers; None where none are seen.

        Parameters
        ----------
        width : float
            Of the surrogate slopes, in units of the root mean square of what each rectifier is
            given.
        """
        if not self._ways.rectifies(self._sample)[0]:
            return None
        if width not in self._with_slopes:
            self._with_slopes[width] = self._variant(_width=width)
        return self._with_slopes[width]

    def repeated(self, step: Callable[..., Any], /) -> Callable[..., Any]:
        """On CUDA devices, a step that is recorded once and replayed; elsewhere the step.

        Of traced modules without a preprocessing of the user's: what runs as Python may do
        otherwise at its next call. What torch compiles is left to it.
        """
        is_plain = self.preprocess is None or type(self.preprocess) is Preprocess
        is_traced = self._ways.is_traced and not self.compiled
        is_cuda = torch.device(self.device or "cpu").type == "cuda"
        return Replayed(step) if is_cuda and is_traced and is_plain else step

    def _variant(self, **fields: Any) -> TorchEncoder:
        """A copy that computes otherwise, with none of what was made of this one."""
        found = copy.copy(self)
        found.__dict__.pop("pre_activations", None)
        found.__dict__.update({"_with_slopes": {}, **fields})
        return found

    @property
    def descriptor_axis(self) -> int | None:
        """0 for maps (C, h, w), whose positions hold C channels each; None for other features."""
        shape = self._some_shape()
        return 0 if shape is not None and len(self.feature_shape(shape)) == 3 else None

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
        weights = dict.fromkeys(self._names, 1.0)
        if isinstance(self.layer, Mapping):
            weights = dict(zip(self._names, self.layer.values(), strict=True))
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
            outputs = self._ways.function(self._width, self._is_before)(maps)
        return [output.to(self.dtype) for output in outputs]

    def _outputs_vjp(
        self, maps: Tensor
    ) -> tuple[Sequence[Tensor], Callable[[Sequence[Tensor]], Tensor]]:
        """The same, and the pullback to what the layers are given."""
        if self.autocast is None:
            outputs, pullback = self._ways.function(self._width, self._is_before).vjp(maps)
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
        """Maps in the layout of memory that the layers are computed in."""
        return laid_out(maps, self._ways.current.channels_last)

    def _some_shape(self) -> tuple[int, ...] | None:
        """The shape (C, H, W) of an image that the module takes, or None if none is found."""
        for shape in self._shapes:
            return shape
        for side in (64, 224, 32, 128, 16, 256, 8):
            shape = (self.channels or 3, side, side)
            with contextlib.suppress(ValueError):
                self._outputs_of(shape)
                return shape
        return None

    def _sample(self) -> Tensor:
        """An input of the module."""
        shape = self._some_shape()
        if shape is None:
            raise ValueError("the module takes none of the square images that were tried.")
        return self._noise(shape, 1)

    def _noise(self, image_shape: tuple[int, ...], count: int) -> Tensor:
        """Random images as the module takes them, before any layout of memory."""
        generator = torch.Generator().manual_seed(0)
        x = torch.rand((count, *image_shape), generator=generator, dtype=self.dtype)
        x = x.to(self.device)
        with torch.no_grad():
            return x if self.preprocess is None else self.preprocess(x)

    def _outputs_of(self, image_shape: tuple[int, ...]) -> Shapes:
        """Shapes of the layers' outputs for one image (C, H, W); refuses what the module does."""
        if image_shape not in self._shapes:
            if len(image_shape) != 3 or image_shape[0] != self.channels:
                raise ValueError(
                    f"the encoder takes images (C, H, W) of {self.channels} channel(s); got "
                    f"{image_shape}. For gray images set Preprocess(to_rgb=True)."
                )
            with LOCK:
                if image_shape not in self._shapes:
                    self._shapes[image_shape] = self._found_shapes(image_shape)
        return self._shapes[image_shape]

    def _found_shapes(self, image_shape: tuple[int, ...]) -> Shapes:
        """The same, found by running the module, whose ways are compared meanwhile."""
        try:
            outputs = self._tried_on(image_shape)
        except errors.REFUSED as error:
            why = errors.misfit(self._on_meta, self._names, image_shape, error)
            raise ValueError(why) from None
        for name, output in zip(self._names, outputs, strict=True):
            errors.check_output(name, output)
        self._ways.check(self._noise(image_shape, 1))
        return tuple(tuple(output.shape[1:]) for output in outputs)

    def _tried_on(self, image_shape: tuple[int, ...]) -> Sequence[Tensor]:
        """Outputs of the layers for two images: on the meta device, or else of real ones.

        What looks at values, or makes tensors of its own, does not run on the meta device.
        """
        with contextlib.suppress(Exception):
            return self._on_meta(image_shape)
        maps, layers = self._noise(image_shape, 2), self._ways.reference
        with torch.no_grad():
            if not self._ways.is_traced:
                layers.check_calls(maps)
            return layers(maps)

    def _on_meta(self, image_shape: tuple[int, ...]) -> Sequence[Tensor]:
        """Outputs of the layers for two images, on the meta device: nothing is computed."""
        x = torch.zeros((2, *image_shape), dtype=self.dtype, device="meta")
        layers = self._ways.dry
        with torch.no_grad():
            maps = x if self.preprocess is None else self.preprocess(x)
            if not self._ways.is_traced:
                layers.check_calls(maps, "meta")
            outputs = layers.on("meta", maps)
        # Where nothing is computed, torch 2.6 gives maps of no pixels where it should refuse.
        if any(isinstance(output, Tensor) and not output.numel() for output in outputs):
            raise RuntimeError("the layer's map has no pixels")
        return outputs

    @contextlib.contextmanager
    def _guarded(self, x: Tensor) -> Iterator[None]:
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
