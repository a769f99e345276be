"""Method: a way to find an image from features, by the energy or by an inverter of its own."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from repinv._core.typing import Array
from repinv.comparison.names import told_apart
from repinv.encoders import expressions
from repinv.encoders.base import Encoder
from repinv.search.result import Result
from repinv.tasks.invert import invert


@dataclass(frozen=True)
class Method:
    """A way to find an image from features, with a name and options of its own.

    Parameters
    ----------
    by : Encoder, str or inverter
        An encoder, or its expression on the command line, which `repinv.invert` inverts; or
        anything with an attribute ``encoder`` and a method ``invert(features) -> Result``.
        ``"sift.opencv"`` takes the keypoints that OpenCV detects in the photograph.
    options : mapping of str to object
        Keyword arguments of `repinv.invert`, or of the inverter's ``invert``.
    name : str
        What its row is called; by default that of the class, or the expression.

    See Also
    --------
    repinv.compare : Invert one image by several methods, and measure what each finds.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Examples
    --------
    >>> import repinv
    >>> from repinv.tasks import mahendran
    >>> hog = repinv.HOG.vlfeat()
    >>> repinv.Method(hog, mahendran((64, 64)), name="HOG, the authors' solver").name
    "HOG, the authors' solver"
    """

    by: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.by, str):
            object.__setattr__(self, "name", self.name or self.by)
            if expressions.is_of_photograph(self.by):
                expressions.with_points(self.by)
            else:
                object.__setattr__(self, "by", expressions.encoder_of(self.by))
        elif not (isinstance(self.by, Encoder) or _is_inverter(self.by)):
            raise TypeError(
                "expected an encoder, its expression, or an inverter with .encoder and "
                ".invert(features); got "
                f"{self.by!r}."
            )
        unknown = [name for name in self.options if name not in _accepted(self.by)]
        if unknown:
            raise TypeError(f"{_inverting(self.by)} has no option {', '.join(unknown)}.")
        object.__setattr__(self, "name", self.name or type(self.by).__name__)

    @property
    def encoder(self) -> Encoder:
        """Whose features are inverted.

        Raises
        ------
        ValueError
            If it is made of a photograph; see `made_for`.
        """
        return self.by.encoder if _is_inverter(self.by) else expressions.encoder_of(self.by)

    @property
    def is_of_photograph(self) -> bool:
        """Whether its encoder is made of the photograph."""
        return isinstance(self.by, str)

    def made_for(self, photograph: Array | None) -> Method:
        """The same with its encoder, where this is made of the photograph.

        Parameters
        ----------
        photograph : array, shape (H, W) or (H, W, 3)
            None where only features are given.

        Returns
        -------
        method : Method

        Raises
        ------
        ValueError
            If there is no photograph, or no keypoint in it.
        """
        if not self.is_of_photograph:
            return self
        return dataclasses.replace(self, by=expressions.encoder_of(self.by, photograph))


def listed(given: Sequence[Any]) -> list[Method]:
    """What was given as methods, under different names; see `names.told_apart`."""
    methods = [_method(one) for one in given]
    if not methods:
        raise ValueError("expected one method or more; got none. An encoder is a method.")
    named = told_apart([one.name for one in methods], [one.by for one in methods])
    pairs = zip(methods, named, strict=True)
    return [dataclasses.replace(method, name=name) for method, name in pairs]


def inverted(
    method: Method, features: Array, shape: tuple[int, ...] | None, settings: dict[str, Any]
) -> Result:
    """An image from features, by the energy or by an inverter of its own."""
    accepted = _accepted(method.by)
    common = {name: value for name, value in settings.items() if value is not None}
    if shape is not None:
        common["shape"] = shape
    options = {name: value for name, value in common.items() if name in accepted}
    options |= method.options
    if _is_inverter(method.by):
        return method.by.invert(features, **options)  # type: ignore[no-any-return]
    return invert(features, method.by, **options)


def _method(given: Any) -> Method:
    """What was given as a method, as one."""
    if isinstance(given, Method):
        return given
    if isinstance(given, tuple | list):
        if len(given) != 2 or not isinstance(given[1], Mapping):
            raise TypeError(f"expected a pair (encoder, options); got {given!r}.")
        return Method(*given)
    return Method(given)


def _is_inverter(by: Any) -> bool:
    """Whether something is inverted by its own method, and not by the energy."""
    return isinstance(getattr(by, "encoder", None), Encoder) and callable(
        getattr(by, "invert", None)
    )


def _inverting(by: Any) -> str:
    """The name of the function that inverts, for messages."""
    return f"{type(by).__name__}.invert" if _is_inverter(by) else "repinv.invert"


def _accepted(by: Any) -> Any:
    """Names of the options that the function that inverts takes."""
    return inspect.signature(by.invert if _is_inverter(by) else invert).parameters
