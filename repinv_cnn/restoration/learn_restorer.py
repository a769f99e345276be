"""Restorers learned: from pre-images of photographs, and their features, to the photographs."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

import repinv
from repinv import Restorer
from repinv_cnn.restoration import likeness
from repinv_cnn.restoration.pairs import Pairs, Photographs, pairs
from repinv_cnn.restoration.restorer_net import RestorerNet

#: Step size, and the steps in which it grows to that; scenes a step; decay of weights; and how
#: much of the averaged weights, which are kept, is of the last average.
STEP_SIZE, WARM, BATCH, DECAY, MEMORY = 2e-3, 100, 16, 1e-4, 0.995
#: Steps after which a checkpoint is written.
_EVERY = 250
#: Least deviation of a number of the features that is divided by.
_LEAST = 1e-3
#: Relative difference of the features of a scene and its negative, below which an encoder does not
#: tell light from dark.
_SAME = 1e-2


def learn_restorer(
    photographs: Sequence[Any],
    encoder: repinv.Encoder,
    *,
    count: int = 3000,
    side: int = 128,
    steps: int = 3000,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Restorer:
    """Learn what photographs look like whose pre-images under an encoder look so.

    Parameters
    ----------
    photographs : sequence of array or path
        Arrays (H, W) or (H, W, 3) of uint8, uint16, or floats in [0, 1]; or files, which are read
        when they are needed. At least `side` pixels high and wide.
    encoder : Encoder
        Of gray images, with local features.
    count : int
        Of scenes that are inverted to learn from.
    side : int
        Of a scene; a multiple of 16.
    steps : int
        Of training, 16 scenes each.
    seed : int
        Of the scenes and the weights that training begins with.
    checkpoint : path, optional
        A folder that keeps scenes and the state of training. Called again with the same
        arguments, a run that was interrupted goes on from there.
    progress : bool
        Whether to show how far it is.

    Returns
    -------
    restorer : repinv.Restorer
        For ``repinv.invert(..., prior=restorer)``; it needs no torch. If training is interrupted
        from the keyboard, as it is then, with a warning.

    Raises
    ------
    ValueError
        If there are no photographs, or one is too small, neither gray nor RGB, not in [0, 1],
        or of a dtype that does not say what white is; or if features of the encoder are not local.

    See Also
    --------
    repinv.Restorer : A small convolutional network from rough pre-images and their target to a
        photograph.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Notes
    -----
    Scenes are pieces of photographs at any scale, turned, stretched and at other intensities; some
    are collages of such pieces, random shapes that lie over each other. For encoders to which a
    scene and its negative are the same the loss does not count signs, which are free from region to
    region there. Training runs on a GPU where torch finds one.

    Examples
    --------
    >>> import repinv, repinv_cnn, skimage
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> coins = skimage.util.img_as_float32(skimage.data.coins())
    >>> restorer = repinv_cnn.learn_restorer(
    ...     [coins], hog, count=2, side=32, steps=1, progress=False
    ... )
    >>> restorer.learned_on
    'hog'
    """
    if side % 16 or side < 16 or count < 1 or steps < 1:
        raise ValueError(
            "expected a side that is a multiple of 16, and at least one scene and one step; got "
            f"side {side}, count {count}, steps {steps}."
        )
    if not photographs:
        raise ValueError("expected at least one photograph to learn from; got none.")
    given = Photographs(photographs, side)
    place = None if checkpoint is None else Path(checkpoint)
    found = pairs(given, encoder, count, side, seed=seed, checkpoint=place, progress=progress)
    is_blind = does_not_tell_light_from_dark(encoder, found.scenes[:4])
    name = str(encoder.restorer)
    return trained(
        found, name, steps, is_blind=is_blind, seed=seed, checkpoint=place, progress=progress
    )


def does_not_tell_light_from_dark(encoder: repinv.Encoder, scenes: np.ndarray) -> bool:
    """Whether features of scenes (M, S, S) are, nearly, those of their negatives."""
    x = np.asarray(scenes, np.float32)[:, None]
    one, other = (np.asarray(encoder.encode(encoder.asarray(a))) for a in (x, 1 - x))
    return bool(np.linalg.norm(one - other) < _SAME * np.linalg.norm(one))


def trained(
    given: Pairs,
    learned_on: str,
    steps: int,
    *,
    is_blind: bool = False,
    seed: int = 0,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> Restorer:
    """A restorer that brings pre-images nearest to their photographs.

    Parameters
    ----------
    given : Pairs
    learned_on : str
        What the restorer says of itself.
    steps : int
    is_blind : bool
        Whether signs of contrast are free.
    seed : int
    checkpoint : Path, optional
        A folder that keeps the state.
    progress : bool
    """
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    offset, scale = _standard(given.vectors)
    net = RestorerNet(len(offset)).to(device)
    optimizer = torch.optim.AdamW(net.parameters(), STEP_SIZE, weight_decay=DECAY)
    average = get_ema_multi_avg_fn(MEMORY)  # type: ignore[no-untyped-call]
    kept = AveragedModel(net, multi_avg_fn=average)
    file = checkpoint and checkpoint / f"training_{steps}.pt"
    first = _load(file, net, kept, optimizer) if file and file.exists() else 0
    loss_of = likeness.unlike_but_for_signs if is_blind else likeness.unlike
    bar = tqdm(range(first, steps), initial=first, total=steps, disable=not progress, unit="step")
    done = first
    try:
        for step in bar:
            for group in optimizer.param_groups:
                group["lr"] = STEP_SIZE * min(1, (step + 1) / WARM) * (1 - step / steps)
            scenes, mean, spread, vectors = _batch(given, offset, scale, (seed, step), device)
            loss = loss_of(net(mean, spread, vectors), scenes)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            kept.update_parameters(net)
            done = step + 1
            bar.set_postfix(loss=f"{float(loss.detach()):.4f}", refresh=False)
            if file and done % _EVERY == 0:
                _save(file, done, net, kept, optimizer)
    except KeyboardInterrupt:
        warnings.warn(f"interrupted: {done} of {steps} steps were trained.", stacklevel=2)
    net.load_state_dict(kept.module.state_dict())
    return net.restorer(offset, scale, learned_on)


def _standard(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (D,) of each number of the features."""
    found = np.moveaxis(vectors[:500].astype(np.float32), 1, 0).reshape(vectors.shape[1], -1)
    return np.nanmean(found, axis=1), np.nanstd(found, axis=1) + _LEAST


def _batch(
    given: Pairs, offset: np.ndarray, scale: np.ndarray, seed: tuple[int, int], device: Any
) -> list[Tensor]:
    """Scenes, means and spreads of one or all of their starts, and features in their units."""
    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(given.scenes), size=BATCH)
    starts = given.preimages.shape[1]
    several = rng.permutation(starts)[: 1 if rng.random() < 0.5 else starts]
    preimages = given.preimages[chosen][:, several].astype(np.float32)[:, :, None]
    vectors = Restorer.in_units(given.vectors[chosen].astype(np.float32), offset, scale)
    scenes = given.scenes[chosen].astype(np.float32)[:, None]
    arrays = [scenes, *Restorer.averaged(preimages), vectors]
    return [torch.from_numpy(np.asarray(a, np.float32)).to(device) for a in arrays]


def _save(file: Path, step: int, net: Any, kept: Any, optimizer: torch.optim.Optimizer) -> None:
    """Write the state of training; the file appears whole or not at all."""
    part = file.with_suffix(".part")
    states = {"net": net.state_dict(), "kept": kept.state_dict()}
    torch.save({"step": step, **states, "optimizer": optimizer.state_dict()}, part)
    part.replace(file)


def _load(file: Path, net: Any, kept: Any, optimizer: torch.optim.Optimizer) -> int:
    """Read what `_save` wrote, and return the step."""
    state = torch.load(file, weights_only=True)
    net.load_state_dict(state["net"])
    kept.load_state_dict(state["kept"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
