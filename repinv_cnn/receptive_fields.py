"""Receptive fields: the pixels that a unit depends on, measured by pullbacks."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from repinv_cnn.torch_encoder import TorchEncoder


@dataclass(frozen=True)
class ReceptiveField:
    """Where the pixels lie that one position of a layer depends on.

    Attributes
    ----------
    size : (int, int)
        Height and width, in pixels.
    stride : (int, int)
        Pixels from one position to the next, down and across; 0 where there is no next one.
    centre : (float, float)
        (y, x) of that of the middle position, 0 being the centre of the first pixel.

    See Also
    --------
    repinv_cnn.receptive_field : Measure the receptive field of the position in the middle of a
        layer.

    Examples
    --------
    >>> import repinv_cnn
    >>> field = repinv_cnn.receptive_field(repinv_cnn.from_digits("conv2"), (1, 32, 32))
    >>> field.size[0] > 3
    True
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    centre: tuple[float, float]


def receptive_field(
    encoder: TorchEncoder,
    image_shape: tuple[int, int, int],
    *,
    draws: int = 16,
    seed: int = 0,
) -> ReceptiveField:
    """Measure the receptive field of the position in the middle of a layer.

    Parameters
    ----------
    encoder : TorchEncoder
        Of one layer, with maps (C, h, w) or (h, w, C), or a vector, which is one position.
    image_shape : (int, int, int)
        (C, H, W). If the receptive field is larger than the image, the image's size is found.
    draws : int
        Random images that are tried: rectifiers and maxima each hide pixels on some images.
    seed : int
        Of these images.

    Returns
    -------
    field : ReceptiveField
        Its size, stride and centre, (down, across) in pixels.

    See Also
    --------
    repinv_cnn.ReceptiveField : Where the pixels lie that one position of a layer depends on.
    repinv_cnn.TorchEncoder : The output of a layer of a torch model, as a differentiable image
        representation.

    Notes
    -----
    A pixel belongs to it if the pullback of a random cotangent at that position is not zero there,
    on any of the random images. Layers that normalize over positions depend on the whole image.

    Examples
    --------
    >>> import torch, repinv_cnn
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 5, stride=2), torch.nn.Conv2d(8, 8, 3))
    >>> encoder = repinv_cnn.TorchEncoder(net, "1")
    >>> field = repinv_cnn.receptive_field(encoder, (3, 32, 32))
    >>> field.size, field.stride
    ((9, 9), (2, 2))
    """
    shape = encoder.feature_shape(image_shape)
    if len(shape) not in (1, 3):
        raise ValueError(
            f"receptive_field needs maps or a vector; the features have shape {shape}. Of tokens, "
            'take the map of the patches: TorchEncoder(..., tokens="patch").'
        )
    places = (1, 1)
    if len(shape) == 3:
        places = shape[:2] if encoder.descriptor_axis == 2 else shape[1:]
    middle = (places[0] // 2, places[1] // 2)
    found = _box(encoder, image_shape, shape, middle, draws, seed)
    (top, bottom), (left, right) = found
    stride = []
    for axis, size in enumerate(places):
        if size < 2:
            stride.append(0)
            continue
        other = (middle[0] - (axis == 0), middle[1] - (axis == 1))
        moved = _box(encoder, image_shape, shape, other, draws, seed)
        # An end of the image cuts one side off; the other still moves.
        ends = [here - there for here, there in zip(found[axis], moved[axis], strict=True)]
        stride.append(max(ends))
    return ReceptiveField(
        size=(bottom - top + 1, right - left + 1),
        stride=(stride[0], stride[1]),
        centre=((top + bottom) / 2, (left + right) / 2),
    )


def _box(
    encoder: TorchEncoder,
    image_shape: tuple[int, int, int],
    shape: tuple[int, ...],
    place: tuple[int, int],
    draws: int,
    seed: int,
) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last row, first and last column that a position depends on."""
    generator = torch.Generator().manual_seed(seed)
    seen = torch.zeros(image_shape[1:], dtype=torch.bool, device=encoder.device)
    for _ in range(draws):
        x = torch.rand((1, *image_shape), generator=generator).to(encoder.device, encoder.dtype)
        features, pullback = encoder.vjp(x)
        cotangent = torch.zeros_like(features)
        axis = encoder.descriptor_axis or 0
        random = torch.randn(shape[axis], generator=generator).to(encoder.device, encoder.dtype)
        if len(shape) == 3:
            cotangent[0].movedim(axis, 0)[:, place[0], place[1]] = random
        else:
            cotangent[0] = random
        seen |= (pullback(cotangent)[0] != 0).any(dim=0)
    if not bool(seen.any()):
        raise ValueError("nothing of the random images reaches this layer: all of it is dead.")
    rows, columns = (torch.nonzero(seen.any(dim=axis)).flatten() for axis in (1, 0))
    return (int(rows[0]), int(rows[-1])), (int(columns[0]), int(columns[-1]))
