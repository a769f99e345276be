"""Train the digit network that ships with `repinv_cnn`.

Writes `repinv_cnn/weights/digits.npz`, prints its accuracy on the digits held out, the seconds
it took, and the checksum that `repinv_cnn/digits.py` knows the file by.

    python scripts/train_digits.py [FILE]

Trained as for a classifier alone, a network is excited most by patterns that no digit has. This
one sees its digits moved, turned, scaled, blurred, in noise, in other contrasts and before faint
backgrounds; perturbed a little against it in every step; and, beside them, pictures of nothing,
of which it learns to be sure of no class. What excites its classes then looks like them. Contrasts
go down to a tenth, because a network that sees nothing in gray gives `repinv.maximize`, which
starts there, no gradient to follow.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import hashlib
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from repinv_cnn.digits import SIDE, DigitNet, digit_images

FILE = Path(__file__).resolve().parents[1] / "repinv_cnn" / "weights" / "digits.npz"
SEED, EPOCHS, BATCH, STEP_SIZE, DECAY = 0, 150, 64, 3e-3, 2e-2
#: Largest norm of a perturbation of an image of full contrast, where digits have norms near 15,
#: and the steps in which it is sought.
RADIUS, ATTACKS = 1.2, 2
#: Weight of what pictures of nothing teach.
UNSURE = 0.05
#: Of the averaged weights that are kept, how much of the last average.
MEMORY = 0.995


def smooth(count: int, generator: torch.Generator) -> Tensor:
    """Low-frequency noise (count, 1, 32, 32) of standard deviation about 1."""
    coarse = torch.randn(count, 1, 5, 5, generator=generator)
    return 1.6 * functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=False)


def augmented(x: Tensor, generator: torch.Generator) -> Tensor:
    """The images moved, deformed, blurred, in other contrasts, before backgrounds, in noise."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(x), generator=generator)

    def image_wise(low: float, high: float) -> Tensor:
        return uniform(low, high)[:, None, None, None]

    angle, scale, shear = uniform(-0.2, 0.2), uniform(0.85, 1.15), uniform(-0.1, 0.1)
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    shift = [uniform(-0.2, 0.2) for _ in range(2)]
    rows = [cosine, -sine + shear, shift[0]], [sine, cosine, shift[1]]
    maps = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    grid = functional.affine_grid(maps, list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, align_corners=False)
    blurred = functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    x = torch.lerp(x, blurred, image_wise(0, 1))
    contrast = image_wise(0.1, 1)
    background = (1 - contrast) * image_wise(0, 1)
    background = background + contrast * image_wise(0, 0.1) * smooth(len(x), generator)
    noise = image_wise(0, 0.1) * torch.randn(x.shape, generator=generator)
    return (background + contrast * (x + noise)).clamp(0, 1)


def nothing(count: int, generator: torch.Generator) -> Tensor:
    """Pictures that show no digit: clouds and noise of all strengths."""
    strength = torch.rand(2, count, 1, 1, 1, generator=generator)
    noise = torch.randn(count, 1, SIDE, SIDE, generator=generator)
    level = torch.rand(count, 1, 1, 1, generator=generator)
    clouds = 0.4 * strength[0] * smooth(count, generator)
    return (level + clouds + 0.3 * strength[1] ** 2 * noise).clamp(0, 1)


def attacked(net: nn.Module, x: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """The images, each moved by as much as its contrast allows to where the network errs."""

    def unit(direction: Tensor) -> Tensor:
        return functional.normalize(direction.flatten(1), dim=1).view_as(direction)

    radius = RADIUS * (x.amax((1, 2, 3), keepdim=True) - x.amin((1, 2, 3), keepdim=True))
    offset = 0.3 * radius * unit(torch.randn(x.shape, generator=generator))
    for _ in range(ATTACKS):
        offset.requires_grad_()
        loss = functional.cross_entropy(net(x + offset), labels, reduction="sum")
        (slope,) = torch.autograd.grad(loss, offset)
        offset = offset.detach() + radius * unit(slope)
        norm = offset.flatten(1).norm(dim=1)[:, None, None, None]
        offset = offset * (radius / norm).clamp(max=1)
        offset = (x + offset).clamp(0, 1) - x
    return x + offset


def train() -> DigitNet:
    """The network, trained; the same numbers from the same seed on one thread."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    pixels, classes = digit_images(train=True)
    images, labels = torch.from_numpy(pixels)[:, None], torch.from_numpy(classes)
    net, averaged = DigitNet(), DigitNet()
    averaged.load_state_dict(net.state_dict())
    rule = torch.optim.AdamW(net.parameters(), weight_decay=DECAY)
    count = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        rule, STEP_SIZE, total_steps=EPOCHS * count, pct_start=0.15
    )
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images), generator=generator)[: count * BATCH].split(BATCH):
            x = augmented(images[batch], generator)
            x = attacked(net, x, labels[batch], generator)
            scores = net(torch.cat([x, nothing(BATCH // 4, generator)]))
            unsure = -functional.log_softmax(scores[BATCH:], dim=1).mean()
            loss = functional.cross_entropy(scores[:BATCH], labels[batch]) + UNSURE * unsure
            rule.zero_grad()
            loss.backward()
            rule.step()
            schedule.step()
            with torch.no_grad():
                for kept, new in zip(averaged.parameters(), net.parameters(), strict=True):
                    kept.lerp_(new, 1 - MEMORY)
    return averaged.eval()


def accuracy(net: nn.Module) -> float:
    """Share of the digits held out that the network names right."""
    pixels, classes = digit_images()
    with torch.no_grad():
        named = net(torch.from_numpy(pixels)[:, None]).argmax(1).numpy()
    return float((named == classes).mean())


if __name__ == "__main__":
    torch.set_num_threads(1)
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    began = time.perf_counter()
    net = train()
    seconds = time.perf_counter() - began
    np.savez_compressed(file, **{name: v.numpy() for name, v in net.state_dict().items()})
    print(f"{accuracy(net):.4f} of the digits held out named right, after {seconds:.0f} s")
    print(f"{file.stat().st_size} bytes, SHA-256 {hashlib.sha256(file.read_bytes()).hexdigest()}")
