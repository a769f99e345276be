"""Named networks: where their weights come from, what they take, and the paper's layer names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from repinv_cnn.digits import digits_network
from repinv_cnn.matconvnet import read_matconvnet
from repinv_cnn.preprocess import Preprocess
from repinv_cnn.torch_encoder import TorchEncoder

#: The layers of Mahendran and Vedaldi's networks, by torchvision's names.
ALIASES: Mapping[str, Mapping[str, str]] = {
    "alexnet": {
        "conv1": "features.0", "relu1": "features.1", "mpool1": "features.2",
        "conv2": "features.3", "relu2": "features.4", "mpool2": "features.5",
        "conv3": "features.6", "relu3": "features.7",
        "conv4": "features.8", "relu4": "features.9",
        "conv5": "features.10", "relu5": "features.11", "mpool5": "features.12",
        "fc6": "classifier.1", "relu6": "classifier.2",
        "fc7": "classifier.4", "relu7": "classifier.5", "fc8": "classifier.6",
    },
    "vgg16": {
        "conv1_1": "features.0", "relu1_1": "features.1",
        "conv1_2": "features.2", "relu1_2": "features.3", "pool1": "features.4",
        "conv2_1": "features.5", "relu2_1": "features.6",
        "conv2_2": "features.7", "relu2_2": "features.8", "pool2": "features.9",
        "conv3_1": "features.10", "relu3_1": "features.11",
        "conv3_2": "features.12", "relu3_2": "features.13",
        "conv3_3": "features.14", "relu3_3": "features.15", "pool3": "features.16",
        "conv4_1": "features.17", "relu4_1": "features.18",
        "conv4_2": "features.19", "relu4_2": "features.20",
        "conv4_3": "features.21", "relu4_3": "features.22", "pool4": "features.23",
        "conv5_1": "features.24", "relu5_1": "features.25",
        "conv5_2": "features.26", "relu5_2": "features.27",
        "conv5_3": "features.28", "relu5_3": "features.29", "pool5": "features.30",
        "fc6": "classifier.0", "relu6": "classifier.1",
        "fc7": "classifier.3", "relu7": "classifier.4", "fc8": "classifier.6",
    },
}  # fmt: skip


def from_torchvision(
    name: str,
    layer: str | Sequence[str] | Mapping[str, float],
    *,
    weights: str | Path | None = "DEFAULT",
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> TorchEncoder:
    """A layer of one of torchvision's classification networks.

    Parameters
    ----------
    name : str
        As torchvision has it: "alexnet", "vgg16", "resnet50", "vit_b_16", and so on.
    layer : str, sequence of str, or mapping of str to float
        Names of the module, or the paper's for AlexNet and VGG-VD-16: "conv1", "relu5_3", "fc8".
    weights : str, path or None
        A name of torchvision's weights, which are downloaded once; a file of a state dictionary
        (.pth, .pt or .safetensors); or None for random weights.
    device, dtype : optional
        As for `TorchEncoder`.

    Returns
    -------
    encoder : TorchEncoder
        In evaluation mode, with the preprocessing that its weights were trained with.

    Raises
    ------
    ValueError
        If there is no such network, or no such weights.
    FileNotFoundError
        If the weights cannot be downloaded: which file to put where.

    See Also
    --------
    repinv_cnn.from_timm : A layer of one of timm's networks.
    repinv_cnn.from_matconvnet : A layer of a network as the authors of the method publish theirs.
    repinv_cnn.TorchEncoder : The output of a layer of a torch model, as a differentiable image
        representation.

    Examples
    --------
    >>> import repinv_cnn
    >>> encoder = repinv_cnn.from_torchvision("alexnet", "conv1", weights=None)  # doctest: +SKIP
    >>> encoder.feature_shape((3, 224, 224))  # doctest: +SKIP
    (64, 55, 55)
    """
    models = _imported("torchvision.models", "torchvision")
    if name not in models.list_models(module=models):
        raise ValueError(
            f"torchvision has no classification network {name!r}. "
            f"It has {', '.join(models.list_models(module=models))}."
        )
    preprocess = Preprocess.imagenet()
    if weights is None or _is_file(weights):
        module = models.get_model(name, weights=None)
        if weights is not None:
            load(module, Path(weights))
    else:
        try:
            chosen = models.get_model_weights(name)[str(weights)]
        except KeyError:
            known = ", ".join(entry.name for entry in models.get_model_weights(name))
            raise ValueError(
                f"{name} has no weights {str(weights)!r}. It has {known}; or give a file."
            ) from None
        transforms = chosen.transforms()
        preprocess = Preprocess(tuple(transforms.mean), tuple(transforms.std))
        module = _downloaded(models, name, chosen)
    return TorchEncoder(module.eval(), _layers(name, layer), preprocess, device=device, dtype=dtype)


def from_timm(
    name: str,
    layer: str | Sequence[str] | Mapping[str, float],
    *,
    weights: str | Path | None = "DEFAULT",
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> TorchEncoder:
    """A layer of one of timm's networks.

    Parameters
    ----------
    name : str
        As ``timm.list_models()`` has it.
    layer : str, sequence of str, or mapping of str to float
        Names of the module.
    weights : str, path or None
        "DEFAULT" for the network's own, which are downloaded once; a file of a state dictionary;
        or None for random weights.
    device, dtype : optional
        As for `TorchEncoder`.

    Returns
    -------
    encoder : TorchEncoder
        In evaluation mode, with the preprocessing that its weights were trained with.

    Raises
    ------
    ValueError
        If there is no such network.
    FileNotFoundError
        If the weights cannot be downloaded.

    See Also
    --------
    repinv_cnn.from_torchvision : A layer of one of torchvision's classification networks.
    repinv_cnn.TorchEncoder : The output of a layer of a torch model, as a differentiable image
        representation.

    Examples
    --------
    >>> import repinv_cnn
    >>> encoder = repinv_cnn.from_timm("resnet18", "layer2")  # doctest: +SKIP
    """
    timm = _imported("timm", "timm")
    if not timm.is_model(name):
        near = timm.list_models(f"*{name[:4]}*")[:8]
        raise ValueError(f"timm has no network {name!r}. Near it are {', '.join(near)}.")
    if weights is None or _is_file(weights):
        module = timm.create_model(name, pretrained=False)
        if weights is not None:
            load(module, Path(weights))
    elif weights == "DEFAULT":
        try:
            module = timm.create_model(name, pretrained=True)
        except Exception as error:  # of the hub, of the network, of the file system
            raise FileNotFoundError(
                f"the weights of {name} could not be downloaded ({type(error).__name__}). On a "
                "machine with a network save timm.create_model(..., pretrained=True).state_dict() "
                "as a .safetensors file, and give its path as weights=."
            ) from error
    else:
        raise ValueError(f'weights must be "DEFAULT", a file or None; got {weights!r}.')
    settings = module.pretrained_cfg
    preprocess = Preprocess(tuple(settings["mean"]), tuple(settings["std"]))
    return TorchEncoder(module.eval(), layer, preprocess, device=device, dtype=dtype)


def from_digits(
    layer: str | Sequence[str] | Mapping[str, float] = "conv3",
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> TorchEncoder:
    """A layer of the network of digits that ships with the package.

    Parameters
    ----------
    layer : str, sequence of str, or mapping of str to float
        Names of `digits_network`.
    device, dtype : optional
        As for `TorchEncoder`.

    Returns
    -------
    encoder : TorchEncoder
        Of gray images, in evaluation mode.

    See Also
    --------
    repinv_cnn.digits_network : A small trained classifier of handwritten digits, in evaluation
        mode.
    repinv_cnn.TorchEncoder : The output of a layer of a torch model, as a differentiable image
        representation.

    Examples
    --------
    >>> import repinv_cnn
    >>> repinv_cnn.from_digits("logits").feature_shape((1, 32, 32))
    (10,)
    """
    return TorchEncoder(digits_network(), layer, device=device, dtype=dtype, channels=1)


def from_matconvnet(
    path: str | os.PathLike[str],
    layer: str | Sequence[str] | Mapping[str, float],
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> TorchEncoder:
    """A layer of a network as the authors of the method publish theirs.

    Parameters
    ----------
    path : path-like
        A file of MatConvNet, such as ``imagenet-vgg-m.mat``.
    layer : str, sequence of str, or mapping of str to float
        Names of the file: "conv1", "relu5", "fc8".
    device, dtype : optional
        As for `TorchEncoder`.

    Returns
    -------
    encoder : TorchEncoder
        In evaluation mode, with the preprocessing that the file names.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_matconvnet` does.

    See Also
    --------
    repinv_cnn.from_torchvision : A layer of one of torchvision's classification networks.
    repinv_cnn.TorchEncoder : The output of a layer of a torch model, as a differentiable image
        representation.

    Examples
    --------
    >>> import repinv_cnn
    >>> encoder = repinv_cnn.from_matconvnet("imagenet-caffe-ref.mat", "conv3")  # doctest: +SKIP
    """
    network = read_matconvnet(path)
    return TorchEncoder(network, layer, network.preprocess, device=device, dtype=dtype)


def _layers(name: str, layer: Any) -> Any:
    """Layers with the paper's names put into torchvision's."""
    known = ALIASES.get(name, {})
    if isinstance(layer, str):
        base = re.split(r"[:\[]", layer, maxsplit=1)[0]
        return known.get(base, base) + layer[len(base) :]
    if isinstance(layer, Mapping):
        return {_layers(name, one): weight for one, weight in layer.items()}
    return tuple(_layers(name, one) for one in layer)


def _imported(module: str, package: str) -> Any:
    """A library of the extra 'zoo'."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError(
            f"{package} is not installed. Install it with: pip install 'repinv[zoo]'"
        ) from None
    except RuntimeError as error:
        raise ImportError(
            f"{package} does not import beside torch {torch.__version__} ({error}). "
            "Install releases of both that belong together."
        ) from error


def _is_file(weights: str | Path) -> bool:
    """Whether weights name a file and not an entry of a library."""
    return isinstance(weights, Path) or Path(weights).suffix in (".pth", ".pt", ".safetensors")


def load(module: nn.Module, path: Path) -> None:
    """Load a state dictionary from a file, which is never unpickled."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file of weights {path}.")
    if path.suffix == ".safetensors":
        state = _imported("safetensors.torch", "safetensors").load_file(path)
    else:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged archive fails in as many ways as it has parts
            raise ValueError(
                f"{path} is not a state dictionary, or is damaged ({type(error).__name__}). "
                "Whole pickled modules are not loaded: save module.state_dict()."
            ) from None
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"{path} does not hold the weights of this network: {first}") from None


def _downloaded(models: Any, name: str, weights: Any) -> nn.Module:
    """torchvision's network with its weights, from the network or torch's own cache."""
    try:
        return models.get_model(name, weights=weights)  # type: ignore[no-any-return]
    except OSError as error:
        target = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        raise FileNotFoundError(
            f"{weights.url} could not be downloaded ({error}). Bring the file from a machine with "
            f"a network to {target}, or give its path as weights=."
        ) from error
