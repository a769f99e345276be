"""Tokens of vision transformers: which of them are features, and in which layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repinv_cnn._graph import layer_names

#: What `TorchEncoder(tokens=…)` takes.
KINDS = ("cls", "patch", "keys", "queries", "values")
#: Tokens beside those of patches, at most: a class, a distilled class, registers.
_MOST_OTHERS = 17
#: Layers inside an attention that give keys, queries and values: one for all three, or each.
_JOINED = ("qkv",)
_SINGLE = {
    "queries": ("query", "q_proj", "q"),
    "keys": ("key", "k_proj", "k"),
    "values": ("value", "v_proj", "v"),
}


@dataclass(frozen=True)
class Choice:
    """What is taken of the tokens (T, D) that a layer gives.

    Parameters
    ----------
    kind : str
        "cls": the first token, (D,). "patch", "keys", "queries" and "values": those of the
        patches, as a map (D, h, w).
    part : int or None
        Which third of the numbers of a token is taken, for layers that give three at once.
    """

    kind: str
    part: int | None = None

    def shape(self, output: tuple[int, ...], image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the features for one image (C, H, W).

        Raises
        ------
        ValueError
            If the output is none of tokens, or their number does not fit the image.
        """
        if len(output) != 2:
            raise ValueError(
                f"tokens={self.kind!r} needs a layer that gives tokens (T, D) for an image; this "
                f"one gives {output}. Leave tokens out for maps and vectors."
            )
        width = output[1] if self.part is None else output[1] // 3
        if self.kind == "cls":
            return (width,)
        return (width, *grid(output[0], image_shape))

    def take(self, output: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Features (N, *shape) of tokens (N, T, D)."""
        found = output
        if self.part is not None:
            found = output.chunk(3, dim=-1)[self.part]
        if self.kind == "cls":
            return found[:, 0]
        width, height, across = shape
        patches = found[:, found.shape[1] - height * across :]
        return patches.transpose(1, 2).reshape(-1, width, height, across)

    def put(self, v: Tensor, output: Tensor) -> Tensor:
        """The cotangent of tokens `output` (N, T, D), of one of the features."""
        whole = torch.zeros_like(output)
        third = whole if self.part is None else whole.chunk(3, dim=-1)[self.part]
        if self.kind == "cls":
            third[:, 0] = v
        else:
            third[:, third.shape[1] - v[0, 0].numel() :] = v.flatten(2).transpose(1, 2)
        return whole


def grid(count: int, image_shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of the patches among so many tokens, the last of which they are.

    Raises
    ------
    ValueError
        If no grid has the proportions of the image.
    """
    _, height, width = image_shape
    for others in range(min(_MOST_OTHERS, count)):
        patches = count - others
        rows = round((patches * height / width) ** 0.5)
        if rows > 0 and patches % rows == 0 and _fits(rows, patches // rows, height, width):
            return rows, patches // rows
    raise ValueError(
        f"{count} tokens do not hold a grid of patches in the proportions of {height}x{width} "
        "pixels. Give images of the size that the network was made for, or leave tokens out."
    )


def _fits(rows: int, columns: int, height: int, width: int) -> bool:
    """Whether square patches make so many rows and columns of an image, up to their last ones."""
    side = max(height // rows, 1)
    return abs(width / side - columns) < 1 and abs(height / side - rows) < 1


def resolved(
    kind: str | None, names: Sequence[str], module: nn.Module
) -> tuple[tuple[str, ...], Choice | None]:
    """Layers that give the tokens that are asked for, and what is taken of them.

    Parameters
    ----------
    kind : str or None
        One of `KINDS`.
    names : sequence of str
        Layers that the user named; of keys, queries and values those that hold the attention.
    module : nn.Module

    Raises
    ------
    ValueError
        If there is no such kind, or a layer has no attention in it.
    """
    if kind is None:
        return tuple(names), None
    if kind not in KINDS:
        raise ValueError(f"tokens must be one of {', '.join(KINDS)}, or None; got {kind!r}.")
    if kind in ("cls", "patch"):
        return tuple(names), Choice(kind)
    found = [
        _projection(kind, name, module.get_submodule(layer_names.of(name).module)) for name in names
    ]
    parts = {part for _, part in found}
    if len(parts) > 1:
        raise ValueError("layers of different kinds of attention need encoders of their own.")
    return tuple(name for name, _ in found), Choice(kind, parts.pop())


def _projection(kind: str, name: str, layer: nn.Module) -> tuple[str, int | None]:
    """The layer inside another one that gives keys, queries or values, and which third of it."""
    below = [path for path, part in layer.named_modules() if path and isinstance(part, nn.Linear)]
    for ends, part in ((_JOINED, list(_SINGLE).index(kind)), (_SINGLE[kind], None)):
        for path in below:
            if path.rpartition(".")[2] in ends:
                return f"{name}.{path}", part
    raise ValueError(
        f"layer {name!r} has no linear layer that gives {kind}, such as 'qkv'. Name a block, or "
        "the layer itself, without tokens."
    )
