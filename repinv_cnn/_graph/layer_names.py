"""Names of layers: which module, which of its calls, and which part of what it returns."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

#: 'layer', 'layer:k' for its call number k, and 'layer[item]' for a part of a list or a dict.
_NAME = re.compile(r"(?P<module>[^:\[\]]*)(?::(?P<call>\d+))?(?P<items>(?:\[[^\[\]]+\])*)")


class LayerName(NamedTuple):
    """A name as `TorchEncoder` takes it, such as 'stage2', 'relu:3' or 'stage2[1]'.

    Attributes
    ----------
    module : str
        Dotted name of the module.
    call : int or None
        Which of its calls, where a name says so.
    items : tuple of int or str
        Position in a list, or key of a dict, of the part that is taken of what it returns; of
        parts that are lists themselves one after the other.
    """

    module: str
    call: int | None = None
    items: tuple[int | str, ...] = ()

    @property
    def key(self) -> tuple[str, int]:
        """Module and number of its call."""
        return self.module, self.call or 0

    def __str__(self) -> str:
        call = "" if self.call is None else f":{self.call}"
        return f"{self.module}{call}" + "".join(f"[{item}]" for item in self.items)

    def part(self, output: Any) -> Any:
        """The part of a module's output that is meant.

        Raises
        ------
        ValueError
            If there is no such part.
        """
        for item in self.items:
            is_text = isinstance(output, Mapping) and item not in output
            try:
                output = output[str(item) if is_text else item]
            except (LookupError, TypeError):
                raise ValueError(
                    f"layer {self.module!r} has no part {str(self)[len(self.module) :]}: "
                    f"{_described(output)}. Name one that it returns."
                ) from None
        return output


def parsed(name: str) -> LayerName | None:
    """The parts of a name; None if it is written in another way."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    items = re.findall(r"\[([^\[\]]+)\]", found["items"])
    call = found["call"]
    return LayerName(
        found["module"],
        None if call is None else int(call),
        tuple(int(item) if item.isdecimal() else item for item in items),
    )


def of(name: str) -> LayerName:
    """The parts of a name that was checked."""
    return parsed(name) or LayerName(name)


def tensors(output: Any) -> Iterator[tuple[tuple[int | str, ...], Tensor]]:
    """The tensors of an output, with the items by which they are named."""
    if isinstance(output, Tensor):
        yield (), output
    elif isinstance(output, Mapping):
        for key, value in output.items():
            yield from (((key, *items), tensor) for items, tensor in tensors(value))
    elif isinstance(output, list | tuple):
        for number, value in enumerate(output):
            yield from (((number, *items), tensor) for items, tensor in tensors(value))


def _described(output: Any) -> str:
    """What an output is, in a few words."""
    if isinstance(output, Mapping):
        return f"it returns a {type(output).__name__} with {', '.join(map(str, output))}"
    if isinstance(output, Sequence):
        return f"it returns a {type(output).__name__} of {len(output)}"
    return f"it returns a {type(output).__name__}"


def examples(name: str, output: Any, most: int = 3) -> str:
    """Names of the first tensors in an output, such as 'stage2[0], stage2[1]'; '' of none."""
    base = of(name)
    found = (base._replace(items=base.items + items) for items, _ in tensors(output))
    return ", ".join(map(str, itertools.islice(found, most)))
