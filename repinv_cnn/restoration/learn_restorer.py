"""Restorers learned: from pre-images of photographs to the photographs."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import skimage
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

import repinv
from repinv import Restorer
from repinv_cnn.restoration.collages import scene
from repinv_cnn.restoration.ssim import ssim

#: Starts of each scene, and the evaluations that each of them gets.
STARTS, EVALUATIONS = 4, (200,)
#: Step size, and the steps in which it grows to that; scenes a step; decay of weights; and how
#: much of the averaged weights, which are kept, is of the last average.
STEP_SIZE, WARM, BATCH, DECAY, MEMORY = 1.5e-3, 100, 16, 1e-4, 0.995


@dataclasses.dataclass(frozen=True, eq=False)
class Scenes:
    """What could be photographs, and pre-images of their features.

    Parameters
    ----------
    photographs : ndarray, shape (M, S, S), float16
    preimages : ndarray, shape (M, K, S, S), float16
        From K starts.
    """

    photographs: np.ndarray
    preimages: np.ndarray


def scenes(
    photographs: Sequence[np.ndarray],
    encoder: repinv.Encoder,
    count: int = 1600,
    side: int = 128,
    *,
    evaluations: Sequence[int] = EVALUATIONS,
    seed: int = 0,
    progress: bool = True,
) -> Scenes:
    """Pieces of photographs and collages of them, inverted from several starts.

    Parameters
    ----------
    photographs : sequence of ndarray, shape (H, W) or (H, W, 3)
        In [0, 1], at least `side` pixels high and wide.
    encoder : Encoder
        Of gray images of `side` × `side`.
    count, side : int
        How many scenes, and how large.
    evaluations : sequence of int
        Of each start; all scenes are inverted with the first, then with the next.
    seed : int
    progress : bool
    """
    total = count * len(evaluations)
    found = Scenes(
        np.zeros((total, side, side), np.float16), np.zeros((total, STARTS, side, side), np.float16)
    )
    for index in tqdm(range(total), disable=not progress, unit="scene"):
        if index % count == 0:
            rng = np.random.default_rng(seed)
        image = scene(photographs, side, rng)
        result = repinv.invert(
            encoder.encode(encoder.asarray(image[None, None]))[0],
            encoder,
            shape=image.shape,
            layout=encoder.layout,
            max_iter=evaluations[index // count],
            seed=int(rng.integers(1 << 30)),
            n_preimages=STARTS,
        )
        found.photographs[index] = image
        found.preimages[index] = result.images
    return found


class RestorerNet(nn.Module):
    """The network of a `repinv.Restorer`, to be trained.

    Parameters
    ----------
    width : int
        Channels.
    layers : int
        Convolutions.
    unit, cell : int
        See `repinv.Restorer`.
    """

    def __init__(
        self,
        width: int = 32,
        layers: int = 8,
        unit: int = 2,
        cell: int = 8,
    ) -> None:
        super().__init__()
        self.unit, self.cell = unit, cell
        ends = [2 * unit**2, *[width] * (layers - 1), unit**2 + 1]
        self.layers = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, padding=1) for inputs, outputs in itertools.pairwise(ends)
        )
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, mean: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 1, H, W), and log energies of cells; sides are multiples of `cell`."""
        unit = self.unit
        out = functional.pixel_unshuffle(torch.cat([mean, spread], dim=1), unit)
        first, *inner, last = self.layers
        out = functional.relu(first(out))
        for layer in inner:
            out = out + functional.relu(layer(out))
        image = mean + functional.pixel_shuffle(last(out).float()[:, :-1], unit)
        # The energies read what restoring has learned, and do not change it.
        energy = torch.exp(last(out.detach()).float()[:, -1:])
        return image, torch.log(functional.avg_pool2d(energy, self.cell // unit))

    def restorer(self, learned_on: str) -> Restorer:
        """What it has learned, free of torch."""
        parameters = [parameter.detach() for parameter in self.layers.parameters()]
        return Restorer(
            tuple(kernel.permute(2, 3, 1, 0).contiguous().numpy() for kernel in parameters[::2]),
            tuple(bias.numpy().copy() for bias in parameters[1::2]),
            self.unit,
            self.cell,
            learned_on,
        )


def trained(
    scenes: Scenes,
    learned_on: str,
    steps: int = 2000,
    *,
    net: RestorerNet | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Restorer:
    """A restorer that brings pre-images nearest to their photographs.

    By the mean square and, with equal weight, structural similarity: the mean square alone has
    little of regions of low contrast, which are seen as well.

    Parameters
    ----------
    scenes : Scenes
    learned_on : str
        What the restorer says of itself.
    steps : int
        Of 16 scenes each, turned and mirrored at random.
    net : RestorerNet, optional
        To begin with.
    seed : int
    progress : bool
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    net = RestorerNet() if net is None else net
    mean, spread = Restorer.averaged(
        torch.from_numpy(scenes.preimages.astype(np.float32))[:, :, None]
    )
    photographs = torch.from_numpy(scenes.photographs.astype(np.float32))[:, None]
    energies = repinv.cell_energies(photographs, net.cell)
    optimizer = torch.optim.AdamW(net.parameters(), STEP_SIZE, weight_decay=DECAY)
    average = get_ema_multi_avg_fn(MEMORY)  # type: ignore[no-untyped-call]
    kept = AveragedModel(net, multi_avg_fn=average)
    bar = tqdm(range(steps), disable=not progress, unit="step")
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = STEP_SIZE * min(1, step / WARM) * (1 - step / steps)
        chosen = torch.randint(len(photographs), (BATCH,), generator=generator)
        turn, mirror = torch.randint(8, (2,), generator=generator).tolist()
        batch = [
            _turned(a[chosen], turn % 4, mirror % 2 == 1)
            for a in (mean, spread, photographs, energies)
        ]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            image, log_energy = net(batch[0], batch[1])
        error = ((image - _unit(batch[2])) ** 2).mean()
        unlike = 1 - ssim(image, batch[2]).mean()
        excess = log_energy - batch[3]
        excess = excess - excess.mean(dim=(1, 2, 3), keepdim=True)
        optimizer.zero_grad()
        (error + unlike + (excess**2).mean()).backward()
        optimizer.step()
        kept.update_parameters(net)
        bar.set_postfix(error=f"{error:.4f}", unlike=f"{unlike:.4f}", refresh=False)
    net.load_state_dict(kept.module.state_dict())
    return net.restorer(learned_on)


def _unit(x: Tensor) -> Tensor:
    """Images at zero mean and unit standard deviation."""
    x = x - x.mean(dim=(2, 3), keepdim=True)
    return x / x.std(dim=(2, 3), keepdim=True, correction=0)


def _turned(x: Tensor, quarters: int, mirror: bool) -> Tensor:
    """Images turned by quarters of a turn, and mirrored."""
    x = torch.rot90(x, quarters, (-2, -1))
    return x.flip(-1) if mirror else x


def learn_restorer(
    photographs: Sequence[np.ndarray],
    encoder: repinv.Encoder,
    *,
    count: int = 1600,
    side: int = 128,
    steps: int = 2000,
    seed: int = 0,
    progress: bool = True,
) -> Restorer:
    """Learn what photographs look like whose pre-images under an encoder look so.

    Parameters
    ----------
    photographs : sequence of array, shape (H, W) or (H, W, 3), uint8, uint16 or floating
        At least `side` pixels high and wide; floats in [0, 1].
    encoder : Encoder
        Of gray images.
    count : int
        Of scenes that are inverted to learn from.
    side : int
        Of a scene.
    steps : int
        Of training.
    seed : int
        Of the scenes and the weights that training begins with.
    progress : bool
        Whether to show how far it is.

    Returns
    -------
    restorer : repinv.Restorer
        For ``repinv.invert(..., prior=restorer)``; it needs no torch.

    Raises
    ------
    ValueError
        If there are no photographs, or one is too small, neither gray nor RGB, not in [0, 1],
        or of a dtype that does not say what white is.

    See Also
    --------
    repinv.Restorer : A small convolutional network from the mean and spread of pre-images to a
        photograph.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Notes
    -----
    Few photographs are enough, for scenes are not cut out as they are: two in three are pieces at
    any scale, turned, stretched and at other intensities, and the others collages of such pieces,
    random shapes that lie over each other. A network cannot learn these by heart.

    Examples
    --------
    >>> import repinv, repinv_cnn, skimage
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> coins = skimage.util.img_as_float32(skimage.data.coins())
    >>> restorer = repinv_cnn.learn_restorer(
    ...     [coins], hog, count=2, side=32, steps=1, progress=False
    ... )
    >>> restorer.learned_on
    'hog-bilinear'
    """
    if side % 8 or side < 8 or count < 1 or steps < 1:
        raise ValueError(
            "expected a side that is a multiple of 8, and at least one scene and one step; got "
            f"side {side}, count {count}, steps {steps}."
        )
    if not photographs:
        raise ValueError("expected at least one photograph to learn from; got none.")
    checked = [_checked(one, number, side) for number, one in enumerate(photographs)]
    found = scenes(checked, encoder, count, side, seed=seed, progress=progress)
    return trained(found, str(encoder.restorer), steps, seed=seed, progress=progress)


def _checked(photograph: np.ndarray, number: int, side: int) -> np.ndarray:
    """A photograph in float32, if something can be learned from it."""
    given = np.asarray(photograph)
    if given.dtype not in (np.uint8, np.uint16) and given.dtype.kind != "f":
        raise ValueError(
            f"expected pixels of uint8, uint16, or floats in [0, 1]; photograph {number} is of "
            f"{given.dtype}, which does not say what white is."
        )
    if given.ndim < 2 or given.shape[2:] not in ((), (3,)) or min(given.shape[:2]) < side:
        raise ValueError(
            f"expected photographs (H, W) or (H, W, 3) of {side} pixels a side or more; "
            f"photograph {number} is {given.shape}."
        )
    pixels: np.ndarray = skimage.util.img_as_float32(given)
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(
            f"expected pixels in [0, 1]; photograph {number} has {pixels.min():.4g} to "
            f"{pixels.max():.4g}."
        )
    return pixels
