"""Encoder expressions, such as ``hog.skimage(orientations=8)``: parsed, never evaluated."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import importlib.metadata
import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import repinv
from repinv._core.suggestions import did_you_mean
from repinv.encoders import option_kinds
from repinv.encoders.base import Encoder
from repinv.io import image as _image

#: Where the constructor of each flavour stands among the public names.
FLAVOURS = {
    "hog.skimage": ("HOG", "skimage"),
    "hog.vlfeat": ("HOG", "vlfeat"),
    "hog.opencv": ("HOG", "opencv"),
    "hog.dpm": ("HOG", "dpm"),
    "hog.maskfeat": ("HOG", "maskfeat"),
    "dsift.vlfeat": ("DSIFT", "vlfeat"),
    "dsift.phow": ("DSIFT", "phow"),
    "dsift.natural": ("DSIFT", "natural"),
    "dsift.kornia": ("DSIFT", "kornia"),
    "daisy.skimage": ("DAISY", "skimage"),
    "sift.opencv": ("SIFT", "opencv"),
    "sift.skimage": ("SIFT", "skimage"),
    "sift.colmap": ("SIFT", "colmap"),
    "sift.load": ("SIFT", "load"),
    "bovw": ("BoVW", "pretrained"),
    "bovw.load": ("BoVW", "load"),
    "hoggle": ("HOGgle", "pretrained"),
    "hoggle.load": ("HOGgle", "load"),
    "vlad.load": ("VLAD", "load"),
    "fisher.load": ("FisherVector", "load"),
    "pca.load": ("PCA", "load"),
}
#: Flavours at keypoints: the option that holds these, and how many numbers each has.
_POINTS = {
    "sift.opencv": ("keypoints", 5),
    "sift.skimage": ("keypoints", 5),
    "sift.colmap": ("frames", 4),
}
#: The one whose keypoints can be detected in a photograph.
_DETECTED = "sift.opencv"
#: Where other packages register constructors of encoders, which are loaded when they are named.
GROUP = "repinv.encoders"
_MAX_LENGTH = 1000
_FORM = "a flavour with options that are plain values, such as 'hog.skimage(orientations=8)'"


def extensions() -> dict[str, importlib.metadata.EntryPoint]:
    """Constructors that are registered by installed packages, by name; none is loaded."""
    found = importlib.metadata.entry_points(group=GROUP)
    return {point.name: point for point in found if point.name not in FLAVOURS}


def constructor(flavour: str) -> Callable[..., Encoder]:
    """What makes encoders of a flavour.

    Raises
    ------
    ValueError
        If there is no such flavour; the message offers the nearest ones.
    """
    if flavour not in FLAVOURS:
        others = extensions()
        if flavour not in others:
            known = [*FLAVOURS, *others]
            raise ValueError(
                f"expected an encoder flavour; got {flavour!r}. {did_you_mean(flavour, known)} "
                "'repinv encoders' lists them."
            )
        try:
            loaded: Callable[..., Encoder] = others[flavour].load()
        except ImportError as error:
            raise ValueError(f"{flavour} needs a package that is missing: {error}.") from error
        return loaded
    public, method = FLAVOURS[flavour]
    make: Callable[..., Encoder] = getattr(getattr(repinv, public), method)
    return make


def encoder_of(given: Any, photograph: Any = None) -> Encoder:
    """The encoder that is given, or that an expression names.

    Parameters
    ----------
    given : Encoder or str
    photograph : array, optional
        What the keypoints of ``sift.opencv`` are detected in, where it gives none.

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        As `parse` does.

    Examples
    --------
    >>> encoder_of("hog.vlfeat") == repinv.HOG.vlfeat() == encoder_of(repinv.HOG.vlfeat())
    True
    """
    if isinstance(given, str):
        has_use = photograph is not None and is_of_photograph(given)
        return _detected(given, photograph) if has_use else parse(given)
    if not isinstance(given, Encoder):
        kind = given.__name__ if isinstance(given, type) else type(given).__name__
        what = f"the class {kind} itself" if isinstance(given, type) else kind
        raise TypeError(
            f"expected an encoder, such as repinv.HOG.vlfeat(), or its expression, such as "
            f"'hog.vlfeat'; got {what}."
        )
    return given


def options(flavour: str) -> dict[str, Any]:
    """Names and defaults of a flavour's options, in order."""
    parameters = inspect.signature(constructor(flavour)).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def parse(expression: str) -> Encoder:
    """The encoder that an expression names.

    Parameters
    ----------
    expression : str
        A flavour, or a flavour called with literals: numbers, strings, tuples, lists, True,
        False, None. Nothing in it is ever run.

    Returns
    -------
    encoder : Encoder

    Raises
    ------
    ValueError
        If it is anything else, or names a flavour or an option that there is not.

    Examples
    --------
    >>> encoder = parse("hog.vlfeat(cell_size=4)")
    >>> encoder.feature_shape((1, 64, 64))
    (31, 16, 16)
    """
    flavour, positional, named = _split(expression)
    if lacks_points(expression):
        name, _ = _POINTS[flavour]
        detected = " They are detected where there is a photograph, and here there is none."
        raise ValueError(
            f"{flavour} needs {name}: write {flavour}({name}='FILE.npz')."
            + (detected if flavour == _DETECTED else "")
        )
    return _made(flavour, positional, named)


def lacks_points(expression: str) -> bool:
    """Whether an expression is of a flavour at keypoints, and gives none.

    Examples
    --------
    >>> lacks_points("sift.opencv(rootsift=True)"), lacks_points("sift.opencv('points.npz')")
    (True, False)
    """
    try:
        flavour, positional, named = _split(expression)
    except ValueError:
        return False
    return flavour in _POINTS and not positional and _POINTS[flavour][0] not in named


def is_of_photograph(expression: str) -> bool:
    """Whether an expression gives no keypoints, and these can be detected in a photograph.

    Examples
    --------
    >>> is_of_photograph("sift.opencv"), is_of_photograph("sift.colmap")
    (True, False)
    """
    return lacks_points(expression) and _split(expression)[0] == _DETECTED


def with_points(expression: str, points: Any = None) -> Encoder:
    """The encoder of an expression that lacks keypoints.

    Parameters
    ----------
    expression : str
    points : path or array, optional
        Its keypoints, or a file of them. By default one that stands in for them, where options are
        checked before keypoints are known.

    Raises
    ------
    ValueError
        As `parse` does.

    Examples
    --------
    >>> with_points("sift.opencv(sigma=1.8)").flavour.sigma
    1.8
    """
    flavour, _, named = _split(expression)
    name, count = _POINTS[flavour]
    if points is None:
        points = ((1.0, 1.0, 1.0, 0.0, 0.0)[:count],)
    return _made(flavour, [], {name: points, **named})


def _detected(expression: str, photograph: Any) -> Encoder:
    """The encoder of the keypoints that OpenCV finds in a photograph, with an expression's options.

    The options of the flavour are taken that detection has as well, and the range of pixels.
    """
    given: Any = with_points(expression)
    try:
        found = repinv.SIFT.detect(
            _image.to_gray(photograph),
            n_octave_layers=given.flavour.n_octave_layers,
            sigma=given.flavour.sigma,
            enable_precise_upscale=given.flavour.precise_upscale,
            rootsift=given.flavour.rootsift,
        )
    except ImportError as error:
        raise ValueError(f"{_DETECTED}: {error}") from error
    return dataclasses.replace(found, value_range=given.value_range)


def _made(flavour: str, positional: list[Any], named: dict[str, Any]) -> Encoder:
    """The encoder of a flavour with checked options."""
    make = constructor(flavour)
    signature = inspect.signature(make)
    for name in named:
        if name not in signature.parameters:
            raise ValueError(
                f"{flavour} has no option {name!r}. {did_you_mean(name, signature.parameters)}"
            )
    try:
        given = signature.bind(*positional, **named).arguments
    except TypeError as error:
        raise ValueError(
            f"{flavour} does not take these options: {error}. 'repinv encoders' lists its options."
        ) from error
    kinds = get_type_hints(getattr(make, "__func__", make))
    for name, value in given.items():
        _check_kind(flavour, name, value, signature.parameters[name].default, kinds.get(name))
    try:
        return make(**given)
    except (TypeError, ValueError, ImportError) as error:
        raise ValueError(f"{flavour}: {error}") from error


def split(expression: str) -> tuple[str, dict[str, Any]]:
    """The flavour of an expression, and the options that it gives, by name.

    Raises
    ------
    ValueError
        As `parse` does.

    Examples
    --------
    >>> split("hog.vlfeat(4, bilinear_orientations=True)")
    ('hog.vlfeat', {'cell_size': 4, 'bilinear_orientations': True})
    """
    flavour, positional, named = _split(expression)
    try:
        given = inspect.signature(constructor(flavour)).bind(*positional, **named).arguments
    except TypeError as error:
        raise ValueError(f"{flavour} does not take these options: {error}.") from error
    return flavour, dict(given)


def files_in(expression: str) -> list[str]:
    """Digests of the files that an expression names: weights, say, which decide what it means.

    Examples
    --------
    >>> files_in("hog.vlfeat(cell_size=4)")
    []
    """
    try:
        _, positional, named = _split(expression)
    except ValueError:
        return []
    texts = [value for value in (*positional, *named.values()) if isinstance(value, str)]
    found = []
    for text in texts:
        if ("/" in text or "." in text) and Path(text).is_file():
            with Path(text).open("rb") as file:
                found.append(hashlib.file_digest(file, "sha256").hexdigest())
    return found


def _split(expression: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Flavour, positional values and named values of an expression."""
    if len(expression) > _MAX_LENGTH:
        raise ValueError(f"expected {_FORM}; got {len(expression)} characters.")
    try:
        with warnings.catch_warnings():
            # Odd literals make the parser warn; what they mean is checked below.
            warnings.simplefilter("ignore")
            node = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"expected {_FORM}; {expression!r} does not parse.") from error
    call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
    flavour = _dotted(call.func)
    if flavour is None:
        raise ValueError(f"expected {_FORM}; {expression!r} is something else, and is not run.")
    positional = [_literal(argument, expression) for argument in call.args]
    named: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise ValueError(f"expected {_FORM}; {expression!r} unpacks options. Write them out.")
        named[keyword.arg] = _literal(keyword.value, expression)
    return flavour, positional, named


def _dotted(node: ast.expr) -> str | None:
    """The name 'family' or 'family.flavour' that a node spells; None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return None


def _literal(node: ast.expr, expression: str) -> Any:
    """The plain value of a node, lists as tuples."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        written = ast.get_source_segment(expression.strip(), node)
        raise ValueError(
            f"expected {_FORM}; {written!r} is no plain value, and is not run. "
            "Write numbers, strings, tuples, True, False or None."
        ) from error
    return _as_tuple(value)


def _as_tuple(value: Any) -> Any:
    """A value with its lists made tuples, as frozen encoders hold them."""
    return tuple(map(_as_tuple, value)) if isinstance(value, list | tuple) else value


def _check_kind(flavour: str, name: str, value: Any, default: Any, kind: Any) -> None:
    """Raise ValueError unless a value is of the kind that an option is annotated with."""
    if option_kinds.is_of_kind(value, kind):
        return
    if default is None:
        raise ValueError(
            f"{flavour} expects {name} to be {option_kinds.in_words(kind)}; got {value!r}. "
            f"Write such a value, or leave {name} out."
        )
    raise ValueError(
        f"{flavour} expects {name} of the kind of {default!r}; got {value!r}. "
        f"Write {name}={default!r}, or another such value."
    )
