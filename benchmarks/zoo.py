"""Networks of timm and torchvision as encoders, beside what torch computes.

    python benchmarks/zoo.py [--only NAME ...] [--json FILE]

Every network has random weights and is tried at a layer in the middle and at the last one: features
and gradients (without surrogate slopes) of `TorchEncoder` beside those of the module, run by torch
and differentiated by autograd. Needs the extra `zoo`.
"""

from __future__ import annotations

import inversions  # first: it sets the threads

# isort: split
import argparse
import copy
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from networks import torchvision_model, torchvision_module
from report import Report
from torch import Tensor, nn

import repinv_cnn

assert inversions
torch.set_num_threads(1)
#: Relative differences that count as agreement, of features and of gradients.
FEATURES, GRADIENTS = 1e-4, 1e-3
#: What is said of a layer, from the best to the worst.
VERDICTS = ("agrees", "agrees up to rounding", "refused", "differs")
#: The same of both in double precision, tried where rounding in single precision exceeds these.
EXACT = 1e-7
#: Networks by library and name, one a line.
NAMES = Path(__file__).with_suffix(".txt")


def model(name: str) -> tuple[nn.Module, int]:
    """A network with random weights, and the side of its images."""
    library, _, network = name.partition(".")
    torch.manual_seed(0)
    if library == "torchvision":
        side = 299 if network == "inception_v3" else 224
        return torchvision_model(network), side
    torchvision_module()  # which timm imports
    import timm

    found = timm.create_model(network, pretrained=False)
    return found.eval(), int(found.default_cfg["input_size"][-1])


def fill(module: nn.Module) -> nn.Module:
    """The module with random weights where all of them were zero, and gave nothing to compare."""
    with torch.no_grad():
        for values in module.parameters():
            if not values.any():
                values.normal_(std=0.02) if values.ndim > 1 else values.uniform_(0.5, 1.0)
    return module


def layers(module: nn.Module, side: int) -> list[str]:
    """Names of a layer in the middle of a forward pass, and of the last one."""
    order: list[str] = []
    calls: Counter[str] = Counter()
    hooks = []
    for name, part in module.named_modules():

        def note(_: nn.Module, __: Any, output: Any, name: str = name) -> None:
            calls[name] += 1
            if isinstance(output, Tensor) and output.ndim >= 2 and len(output) == 1:
                order.append(name)

        if name:
            hooks.append(part.register_forward_hook(note))
    with torch.no_grad():
        module(torch.rand(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    once = [name for name in order if calls[name] == 1]
    return [once[len(once) // 2], once[-1]]


def compared(
    module: nn.Module, layer: str, side: int, dtype: torch.dtype
) -> tuple[float, float, bool]:
    """Relative differences of features and of gradients, and whether a graph was traced."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand((1, 3, side, side), generator=generator).to(dtype)
    leaf = x.clone().requires_grad_()
    seen: list[Tensor] = []
    hook = module.get_submodule(layer).register_forward_hook(
        lambda _, __, output: seen.append(output.clone())
    )
    module(leaf.clone())
    hook.remove()
    expected = seen[0]
    v = torch.randn(expected.shape, generator=generator).to(dtype)
    (gradient,) = torch.autograd.grad(expected, leaf, v)
    encoder = repinv_cnn.TorchEncoder(module, layer, dtype=dtype)
    features, pullback = encoder.vjp(x)
    return (
        relative(features, expected.detach()),
        relative(pullback(v), gradient),
        encoder._ways.is_traced,
    )


def relative(found: Tensor, expected: Tensor) -> float:
    """Norm of a difference over that of what is expected."""
    norm = float(expected.double().norm())
    return float((found - expected).double().norm()) / (norm or 1.0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report = Report(
        "Networks of timm and torchvision as encoders",
        "Relative differences of features and gradients from the module itself, random weights, "
        f"float32. Networks agree where features differ by at most {FEATURES:g} and gradients by "
        f"at most {GRADIENTS:g} at both layers.",
    )
    report.table("", "layer", "features", "gradients", "computed by", "seconds", "")
    tally: Counter[str] = Counter()
    for name in options.only or NAMES.read_text().split():
        verdicts = set()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module, side = model(name)
                fill(module)
                module.requires_grad_(False)
                chosen = layers(module, side)
        except Exception as error:
            report.row(name, "", "", "", "", "", f"not made: {str(error).splitlines()[0]}")
            continue
        for layer in chosen:
            began = time.perf_counter()
            try:
                features, gradients, is_traced = compared(module, layer, side, torch.float32)
                agrees = features <= FEATURES and gradients <= GRADIENTS
                verdict, exact = "agrees", (0.0, 0.0)
                if not agrees:
                    # Rounding grows in a network of random weights; in double precision it does
                    # not reach the tolerance, and an error stays.
                    exact = compared(copy.deepcopy(module).double(), layer, side, torch.float64)[:2]
                    is_rounding = max(exact) <= EXACT
                    verdict = "agrees up to rounding" if is_rounding else "differs"
            except Exception as error:  # a refusal is part of what is found
                verdicts.add("refused")
                report.row(name, layer, "", "", "", "", f"{type(error).__name__}: {error}")
                continue
            verdicts.add(verdict)
            report.row(
                name,
                layer,
                f"{features:.1e}",
                f"{gradients:.1e}",
                "graph" if is_traced else "module",
                f"{time.perf_counter() - began:.1f}",
                verdict if agrees else f"{verdict} (in float64 {exact[0]:.0e}, {exact[1]:.0e})",
            )
        # The worse of two layers.
        tally[max(verdicts, key=VERDICTS.index)] += 1
    told = ", ".join(f"{tally[verdict]} {verdict}" for verdict in VERDICTS if tally[verdict])
    report.note(f"Of {sum(tally.values())} networks: {told}.")
    report.write(options.json)
