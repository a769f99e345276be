"""TorchEncoder: a layer of any torch model as an image representation."""

from __future__ import annotations

import copy
import functools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

import repinv
from repinv_cnn._graph import errors, forward_mode, preparation, trials
from repinv_cnn._graph.agreement import Ways
from repinv_cnn._graph.cuda_graphs import Replayed
from repinv_cnn._graph.pipeline import Pipeline
from repinv_cnn._graph.tokens import resolved
from repinv_cnn._graph.trials import LayerInfo
from repinv_cnn.preprocess import Preprocess

#: A pullback, as `repinv.Encoder` has it.
Pullback: TypeAlias = Callable[[Any], Any]
#: A pushforward, likewise.
Pushforward: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True, eq=False, repr=False)
class TorchEncoder(repinv.Encoder):
    """The output of a layer of a torch model, as a differentiable image representation.

    Parameters
    ----------
    module : nn.Module
        Any model that takes a batch of images. A copy is kept, frozen and in evaluation mode;
        the model itself is left as it is. `DataParallel` and compiled models are unwrapped.
    layer : str, sequence of str, or mapping of str to float
        Dotted name as in ``module.named_modules()``; 'name:k' is the k-th call of a layer that
        is called more than once, 'name[k]' and 'name[key]' a part of a list or a dict. Several
        layers make one vector, in which each counts by its relative error, times its weight in a
        mapping.
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
    tokens : {"cls", "patch", "keys", "queries", "values"}, optional
        Of layers of vision transformers that give tokens (T, D): the class token alone, (D,), or
        the patches as a map (D, h, w), without class and register tokens; or these patches' keys,
        queries or values in the attention of a block that `layer` names. By default a layer's
        output is taken as it is.

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

    Of maps the channels are the first axis (C, h, w), or the last one where the other two alone
    have the proportions of the image, as in Swin's blocks (h, w, C); of tokens (T, D) they are the
    last. Colour networks take gray images, repeated three times; and images (C, H, W), where that
    alone fits. Both are warned of.

    Threads may share an encoder. Surrogate slopes are those of ReLU, leaky
    and parametric ReLU, ReLU6 and other clips, hard sigmoid and hard swish, whoever calls them.

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
    tokens: str | None = None
    #: A call reads integer pixels as fractions of white, as torchvision does.
    unit_pixels: ClassVar[bool] = True
    is_network: ClassVar[bool] = True
    _names: tuple[str, ...] = field(init=False, repr=False)
    _ways: Ways = field(init=False, repr=False)
    _trials: trials.Trials = field(init=False, repr=False)
    _pipeline: Pipeline = field(init=False, repr=False)
    _with_slopes: dict[float, TorchEncoder] = field(init=False, repr=False, default_factory=dict)

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
        taken, choice = resolved(self.tokens, names, module)
        weights = next((p for p in module.parameters() if p.is_floating_point()), None)
        device = preparation.device_of(self.device, weights)
        frozen = preparation.frozen(module).to(device=device, dtype=self.dtype)
        ways = Ways(frozen, taken, self.channels_last, self.compiled)
        if self.compiled and not ways.is_traced:
            raise ValueError(
                "this module cannot be traced, and so neither cut nor compiled; leave "
                "compiled=False."
            )
        channels = self.channels or getattr(self.preprocess, "channels", None)
        channels = channels or preparation.first_channels(module)
        settings = (self.preprocess, channels, device, self.dtype, choice)
        found = {
            "device": device,
            "channels": channels,
            "_names": names,
            "_ways": ways,
            "_trials": trials.Trials(ways, taken, *settings),
            "_pipeline": Pipeline(
                ways, self.preprocess, self.dtype, self.autocast, self.deterministic, choice
            ),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)

    def vjp(self, x: Any, /) -> tuple[Any, Pullback]:
        """Features (N, *F), and the pullback through layers and preprocessing.

        Tensors, or NumPy arrays where the encoder computes on the CPU; both maps return the kind
        that was given.
        """
        shapes = self._trials.shapes(tuple(x.shape[1:]))
        features, pull = self._pipeline.vjp(_tensor(x).detach(), shapes)
        return _as(features, x), lambda v: _as(pull(_tensor(v)), v)

    def jvp(self, x: Any, /) -> tuple[Any, Pushforward] | None:
        """Features (N, *F), and the map of changes of the images to theirs, by forward mode.

        None with surrogate slopes, which are of the pullback alone, and of modules with an
        operation that torch has no forward mode of.
        """
        if self._pipeline.width:
            return None
        given, shapes = _tensor(x).detach(), self._trials.shapes(tuple(x.shape[1:]))
        push = forward_mode.pushed(lambda images: self._pipeline.features(images, shapes), given)
        if push is None:
            return None

        def pushforward(v: Any) -> Any:
            with self._pipeline.guarded(given):
                return _as(push(_tensor(v)), v)

        return self.encode(x), pushforward

    def encode(self, x: Any, /) -> Any:
        """Features (N, *F), without a graph, of the kind of array that `x` is."""
        shapes = self._trials.shapes(tuple(x.shape[1:]))
        given = _tensor(x)
        with torch.no_grad(), self._pipeline.guarded(given):
            return _as(self._pipeline.features(given, shapes), x)

    def in_layout(self, image: Any) -> Any:
        """A user's image (H, W, C): gray ones repeated, and (C, H, W) where that alone fits."""
        image = super().in_layout(image)
        shape = tuple(np.shape(image))
        fits = len(shape) == 3 and shape[-1] == self.channels
        if not fits and len(shape) == 3 and shape[0] == self.channels:
            warnings.warn(f"an image of shape {shape} is read as (C, H, W).", stacklevel=3)
            return np.moveaxis(_host(image), 0, -1)
        if not fits and self.channels == 3 and len(shape) - (shape[-1] == 1) == 2:
            warnings.warn("a gray image is given to the network as three channels.", stacklevel=3)
            return np.repeat(np.reshape(_host(image), (*shape[:2], 1)), 3, axis=-1)
        return image

    def feature_shape(self, image_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape of a layer's output; of several layers, the length of all of them."""
        shapes = self._trials.shapes(tuple(image_shape))
        return shapes[0] if len(shapes) == 1 else (trials.length(shapes),)

    @functools.cached_property
    def pre_activations(self) -> TorchEncoder | None:
        """The same encoder without the ReLU that ends its layer; None where none is seen to."""
        if self._pipeline.is_before or not self._ways.rectifies(self._trials.sample)[1]:
            return None
        return self._variant(is_before=True)

    @functools.cached_property
    def is_classifier(self) -> bool:
        """Whether the layer is the module's last linear one, and has the shape of its output."""
        return self._ways.reference.are_logits(self._trials.sample)

    @property
    def start(self) -> tuple[float, None]:
        """Contrast of an inversion's start; the exponent of its spectrum is measured.

        Networks determine contrast, and from a faint start most of their units are alike: with this
        one errors of EfficientNet-Lite0's late layers fall to between a quarter and a thirtieth of
        those from a faint start, and those of ResNet-20 stay as they are.
        """
        return 0.1, None

    def with_surrogate_slopes(self, width: float, /) -> TorchEncoder | None:
        """The same features with surrogate slopes of activations; None where none are seen.

        Parameters
        ----------
        width : float
            Of the surrogate slopes, in units of the root mean square of what each activation
            is given.
        """
        if not self._ways.rectifies(self._trials.sample)[0]:
            return None
        if width not in self._with_slopes:
            self._with_slopes[width] = self._variant(width=width)
        return self._with_slopes[width]

    @staticmethod
    def layers(module: nn.Module, image_shape: tuple[int, int, int]) -> list[LayerInfo]:
        """The layers that a module calls for an image, by the names that `layer` takes.

        Parameters
        ----------
        module : nn.Module
            Run once on random numbers; it is left as it is.
        image_shape : (int, int, int)
            (C, H, W), as the module takes it.

        Returns
        -------
        layers : list of LayerInfo
            In the order of their calls, with name, kind and the shape for one image; of what is no
            tensor the type's name.

        Raises
        ------
        ValueError
            If the module takes no such image.

        Examples
        --------
        >>> import torch, repinv_cnn
        >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
        >>> for layer in repinv_cnn.TorchEncoder.layers(net, (3, 16, 16)):
        ...     print(layer.name, layer.kind, layer.shape)
        0 Conv2d (8, 14, 14)
        1 ReLU (8, 14, 14)
        """
        model = preparation.sharing(preparation.unwrapped(module)).eval()
        weights = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
        x = torch.rand((1, *image_shape)).to(weights.device, weights.dtype)
        try:
            return trials.called(model, x)
        except errors.REFUSED as error:
            raise ValueError(
                f"the module takes no image (C, H, W) of shape {tuple(image_shape)}: "
                f"{errors.first_line(error)}. Its first convolution suggests "
                f"{preparation.first_channels(model)} channel(s)."
            ) from None

    def repeated(self, step: Callable[..., Any], /) -> Callable[..., Any]:
        """On CUDA devices, a step that is recorded once and replayed; elsewhere the step.

        Of traced modules without a preprocessing of the user's: what runs as Python may do
        otherwise at its next call. What torch compiles is left to it.
        """
        is_plain = self.preprocess is None or type(self.preprocess) is Preprocess
        is_traced = self._ways.is_traced and not self.compiled
        is_cuda = torch.device(self.device or "cpu").type == "cuda"
        return Replayed(step) if is_cuda and is_traced and is_plain else step

    def __repr__(self) -> str:
        """Network, layers and images on one line."""
        layers = self._names[0] if len(self._names) == 1 else ", ".join(self._names)
        more = f", tokens={self.tokens!r}" if self.tokens else ""
        of = f"images of {self.channels} channel" + ("s" if self.channels != 1 else "")
        return (
            f"TorchEncoder({type(self.module).__name__}, {layers!r}{more}): {of} on {self.device}"
        )

    def _variant(self, **changes: Any) -> TorchEncoder:
        """A copy that computes otherwise, with none of what was made of this one."""
        found = copy.copy(self)
        found.__dict__.pop("pre_activations", None)
        pipeline = replace(self._pipeline, **changes)
        found.__dict__.update({"_with_slopes": {}, "_pipeline": pipeline})
        return found

    @property
    def descriptor_axis(self) -> int | None:
        """Axis of the channels of maps (C, h, w) or (h, w, C), and of tokens (T, D); else None."""
        shape = self._trials.some_shape()
        return None if shape is None else trials.descriptor_axis(self.feature_shape(shape), shape)

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
        shapes = self._trials.shapes(tuple(image_shape))
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
        shapes = self._trials.shapes(tuple(image_shape))
        flat = _tensor(self.asarray(features)).reshape(-1)
        parts = torch.split(flat, [*map(math.prod, shapes)])
        named = zip(self._names, parts, shapes, strict=True)
        return {name: _as(part.reshape(shape), features) for name, part, shape in named}


def _tensor(a: Any) -> Tensor:
    """An array as a tensor; of NumPy's, the memory is shared."""
    if isinstance(a, Tensor):
        return a
    return torch.from_numpy(a if a.flags.writeable and min(a.strides, default=0) >= 0 else a.copy())


def _host(image: Any) -> np.ndarray:
    """An image as NumPy."""
    return image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)


def _as(tensor: Tensor, like: Any) -> Any:
    """A tensor as the kind of array that `like` is."""
    return tensor if isinstance(like, Tensor) else tensor.numpy()
