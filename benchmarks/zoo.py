"""Networks of timm and torchvision as encoders: do they compute what torch computes?

    python benchmarks/zoo.py [--only NAME ...] [--json FILE]

Every network has random weights and is tried at a layer in the middle and at the last one: features
and gradients (without surrogate slopes) of `TorchEncoder` beside those of the module, run by torch
and differentiated by autograd. Needs the extra `zoo`.
"""

from __future__ import annotations

import inversions  # first: it sets the threads

# isort: split
import argparse
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from networks import torchvision_model
from report import Report
from torch import Tensor, nn

import repinv_cnn

assert inversions
torch.set_num_threads(1)
#: Relative differences that count as agreement, of features and of gradients.
FEATURES, GRADIENTS = 1e-4, 1e-3
TIMM = """
bat_resnext26ts beit_base_patch16_224 botnet26t_256 cait_xxs24_224 coat_tiny coatnet_0_rw_224
convit_tiny convmixer_768_32 convnext_atto convnextv2_atto crossvit_tiny_240 cspresnet50 darknet17
davit_tiny deit_tiny_patch16_224 densenet121 dla34 dpn48b edgenext_xx_small
efficientformer_l1 efficientformerv2_s0 efficientnet_b0 efficientnet_lite0 efficientvit_b0
efficientvit_m0 fastvit_t8 fbnetc_100 focalnet_tiny_srf gcresnext26ts gernet_s ghostnet_100
halonet26t hardcorenas_a hgnet_tiny hrnet_w18_small inception_next_tiny lambda_resnet26t
lcnet_050 levit_128s maxvit_rmlp_pico_rw_256 mixer_s32_224 mixnet_s mnasnet_small
mobilenetv2_050 mobilenetv3_small_050 mobilevit_xxs mobilevitv2_050 mobileone_s0 nf_regnet_b0
pit_ti_224 poolformer_s12 pvt_v2_b0 regnetx_002 regnety_002 repghostnet_050 repvgg_a0 repvit_m0_9
res2net50_14w_8s resmlp_12_224 resnest14d resnet18 resnet26d resnetv2_50 rexnet_100 sebotnet33ts_256
selecsls42b seresnet33ts sequencer2d_s skresnet18 swin_tiny_patch4_window7_224
swinv2_tiny_window8_256 swinv2_cr_tiny_ns_224 tf_mixnet_s tinynet_e tiny_vit_5m_224 twins_pcpvt_small
vgg11_bn visformer_tiny vit_tiny_patch16_224 vovnet39a xception41 xcit_nano_12_p16_224
""".split()
TORCHVISION = """
alexnet convnext_tiny densenet121 efficientnet_b0 googlenet inception_v3 maxvit_t mobilenet_v2
mobilenet_v3_small regnet_y_400mf resnet18 shufflenet_v2_x0_5 squeezenet1_1 swin_t vgg11 vit_b_16
""".split()


def model(name: str) -> tuple[nn.Module, int]:
    """A network with random weights, and the side of its images."""
    library, _, network = name.partition(".")
    torch.manual_seed(0)
    if library == "torchvision":
        side = 299 if network == "inception_v3" else 224
        return torchvision_model(network), side
    import timm

    found = timm.create_model(network, pretrained=False)
    return found.eval(), int(found.default_cfg["input_size"][-1])


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


def compared(module: nn.Module, layer: str, side: int) -> tuple[float, float, bool]:
    """Relative differences of features and of gradients, and whether a graph was traced."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand((1, 3, side, side), generator=generator)
    leaf = x.clone().requires_grad_()
    seen: list[Tensor] = []
    hook = module.get_submodule(layer).register_forward_hook(
        lambda _, __, output: seen.append(output.clone())
    )
    module(leaf.clone())
    hook.remove()
    expected = seen[0]
    v = torch.randn(expected.shape, generator=generator)
    (gradient,) = torch.autograd.grad(expected, leaf, v)
    encoder = repinv_cnn.TorchEncoder(module, layer)
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
    names = [f"timm.{name}" for name in TIMM] + [f"torchvision.{name}" for name in TORCHVISION]
    tally: Counter[str] = Counter()
    for name in options.only or names:
        verdicts = set()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module, side = model(name)
                module.requires_grad_(False)
                chosen = layers(module, side)
        except Exception as error:
            report.row(name, "", "", "", "", "", f"not made: {str(error).splitlines()[0]}")
            continue
        for layer in chosen:
            began = time.perf_counter()
            try:
                features, gradients, is_traced = compared(module, layer, side)
            except Exception as error:  # a refusal is part of what is found
                verdicts.add("refused")
                report.row(name, layer, "", "", "", "", f"{type(error).__name__}: {error}")
                continue
            verdict = "agrees" if features <= FEATURES and gradients <= GRADIENTS else "differs"
            verdicts.add(verdict)
            report.row(
                name,
                layer,
                f"{features:.1e}",
                f"{gradients:.1e}",
                "graph" if is_traced else "module",
                f"{time.perf_counter() - began:.1f}",
                verdict,
            )
        tally[verdicts.pop() if len(verdicts) == 1 else "in part"] += 1
    told = ", ".join(f"{count} {verdict}" for verdict, count in tally.most_common())
    report.note(f"Of {sum(tally.values())} networks: {told}.")
    report.write(options.json)
