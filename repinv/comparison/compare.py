"""Compare: several methods on one image, measured alike."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from repinv import metrics
from repinv._core.typing import Array
from repinv.comparison.methods import Method, inverted, listed
from repinv.comparison.table import Comparison, Reconstruction
from repinv.encoders import expressions
from repinv.encoders.base import Encoder
from repinv.io.image import as_batch, as_unit, channels_last, from_batch, to_gray
from repinv.io.sample_images import photographs
from repinv.io.streams import Images, stream
from repinv.search import feature_scale
from repinv.search.feature_layout import read
from repinv.solvers.minimize import to_host


def compare(
    image_or_features: Array,
    methods: Sequence[Any],
    *,
    shape: tuple[int, ...] | None = None,
    layout: str | None = None,
    rescale: bool = False,
    features_given: bool | None = None,
    yardstick: Encoder | str | None = None,
    references: Images | None = None,
    max_iter: int = 400,
    seed: int = 0,
    time_limit: float | None = None,
    progress: bool = False,
) -> Comparison:
    """Invert one image by several methods, and measure what each finds.

    Parameters
    ----------
    image_or_features : array
        An image (H, W), (H, W, 1) or (H, W, 3), or of as many channels as all methods take:
        floats in [0, 1], or integers that stand for fractions of white. Or features, which all
        methods then invert; a stack of several images' features gives each method a row for each.
    methods : sequence
        Each an encoder or its expression on the command line, a pair (encoder, options of
        `repinv.invert`), an inverter with ``.encoder`` and ``.invert(features)``, or a `Method`,
        which has a name.
    shape : tuple of int, optional
        (H, W) or (H, W, C) of the image that features are of; says that features are given.
    layout, rescale : optional
        Of features, as for `repinv.invert`.
    features_given : bool, optional
        Whether `image_or_features` are features. By default they are if `shape` is given, or if
        their own shape is not that of an image.
    yardstick : Encoder or str, optional
        In whose features errors are measured. By default each method is measured in the features
        that it inverts, so that errors of different encoders are in different units.
    references : iterable of array or path, or path of a folder, optional
        Two images or more of the photograph's size, whose features' mean distance is 100 in the
        paper's unit; by default the photographs of scikit-image and quarters of them.
    max_iter, seed, time_limit : optional
        As for `repinv.invert`, for all encoders whose own options do not say otherwise; one time
        limit for each method.
    progress : bool
        Show a progress bar of methods.

    Returns
    -------
    comparison : Comparison
        A method that fails has a row that says why, and does not keep others from theirs. Kernels
        are compiled before a method's time is taken.

    Raises
    ------
    TypeError, ValueError
        If there is no image, no method, or all methods fail.

    See Also
    --------
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.
    repinv.Method : A way to find an image from features, with a name and options of its own.

    Examples
    --------
    >>> import skimage, repinv
    >>> image = skimage.data.camera()[::8, ::8]
    >>> hog, sift = repinv.HOG.vlfeat(), repinv.DSIFT.natural()
    >>> found = repinv.compare(image, [hog, repinv.Method(sift, {"jitter": 0}, "dense SIFT")],
    ...                        max_iter=30)
    >>> [row.name for row in found.rows], found.rows[0].image.shape
    (['HOG', 'dense SIFT'], (64, 64))
    >>> print(found.to_csv().splitlines()[0])
    name,error,pairwise_error,ncc,ssim,psnr,seconds
    """
    named = listed(methods)
    encoders = [method.encoder for method in named if not method.is_of_photograph]
    if features_given is None:
        features_given = shape is not None or not _looks_like_an_image(image_or_features, encoders)
    if not features_given and (shape is not None or layout is not None):
        raise ValueError(
            "shape and layout go with features; an image has its own size. Leave them out."
        )
    photograph = None if features_given else _photograph(image_or_features, encoders)
    ruler = None if yardstick is None else expressions.encoder_of(yardstick, photograph)
    settings = {"max_iter": max_iter, "seed": seed, "time_limit": time_limit}
    given = None if references is None else tuple(stream(references))
    rows: list[Reconstruction] = []
    interrupted = False
    for one in tqdm(named, disable=not progress, unit="method"):
        # Whatever a method raises is its own affair, and the table's other rows are not.
        try:
            method = one.made_for(photograph)
            if photograph is None:
                targets = _read(method, image_or_features, shape, layout, rescale)
            else:
                targets = [_seen(method, as_seen(photograph, method.encoder))]
        except Exception as error:
            rows.append(Reconstruction(one.name, failure=_reason(error)))
            continue
        for target in targets:
            try:
                if interrupted:
                    raise RuntimeError("not run: interrupted")
                row = _reconstructed(method, target, ruler, given, settings)
            except Exception as error:
                row = Reconstruction(target.name, failure=_reason(error))
            rows.append(row)
            interrupted |= "interrupted" in row.notes
    if all(row.failure for row in rows):
        reasons = "; ".join(f"{row.name}: {row.failure}" for row in rows)
        raise ValueError(f"none of the methods gave an image. {reasons}")
    return Comparison(tuple(rows), photograph)


@dataclass(frozen=True)
class _Target:
    """What a row is to meet: features (*F), the shape (H, W[, C]) of their image, the image."""

    name: str
    features: Array
    shape: tuple[int, ...] | None
    seen: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def _looks_like_an_image(array: Any, encoders: Sequence[Encoder]) -> bool:
    """Whether an array has the shape of an image."""
    dims = tuple(getattr(array, "shape", None) or np.shape(array))
    if len(dims) != 3:
        return len(dims) == 2
    count = dims[_channel_axis(encoders)]
    return count in (1, 3) or _all_take(encoders, count)


def _channel_axis(encoders: Sequence[Encoder]) -> int:
    """Where the channels of a photograph stand: where all encoders have them, or last."""
    axes = {encoder.channel_axis for encoder in encoders}
    return axes.pop() if len(axes) == 1 else -1


def _all_take(encoders: Sequence[Encoder], count: int) -> bool:
    """Whether all encoders take images of so many channels, though it is neither gray nor RGB."""
    return bool(encoders) and all(
        encoder.any_channels if encoder.channels is None else encoder.channels == count
        for encoder in encoders
    )


def _photograph(image: Any, encoders: Sequence[Encoder]) -> np.ndarray:
    """A checked image in [0, 1], (H, W) or (H, W, C)."""
    unit = as_unit(channels_last(image, _channel_axis(encoders)))
    any_channels = unit.ndim == 3 and _all_take(encoders, unit.shape[-1])
    return from_batch(as_batch(unit, any_channels=any_channels)[0])


def as_seen(photograph: np.ndarray, encoder: Encoder) -> np.ndarray:
    """A photograph in as many channels as an encoder takes."""
    if encoder.channels == 1 and photograph.ndim == 3:
        return to_gray(photograph)
    if encoder.channels == 3 and photograph.ndim == 2:
        return np.repeat(photograph[..., None], 3, axis=-1)
    return photograph


def _seen(method: Method, seen: np.ndarray) -> _Target:
    """What a row is to meet: the features of a photograph, as its encoder sees this."""
    encoder = method.encoder
    x = encoder.asarray(_batch(seen, encoder))
    # Compiles what is compiled on first use, so that the clock does not see it.
    features, pullback = encoder.vjp(x)
    pullback(features)
    return _Target(method.name, features[0, ...], seen.shape, seen)


def _read(
    method: Method,
    features: Array,
    shape: tuple[int, ...] | None,
    layout: str | None,
    rescale: bool,
) -> list[_Target]:
    """What rows are to meet: given features, of one image or of several."""
    encoder = method.encoder
    reading = read(features, encoder, shape, layout)
    channels, *sides = reading.size
    size = (*sides, *((channels,) * (channels > 1)))
    found = []
    for number in range(len(reading)):
        one, notes = reading.features[number, ...], reading.notes
        much, is_fixed = (
            feature_scale.factor(one, encoder, reading.size) if rescale else (1.0, True)
        )
        if much != 1:
            if not is_fixed:
                raise feature_scale.unscalable(much, encoder)
            one, notes = one / much, (*notes, feature_scale.scaled(much))
        name = f"{method.name}, image {number + 1}" if len(reading) > 1 else method.name
        found.append(_Target(name, one, size, notes=notes))
    return found


def _reconstructed(
    method: Method,
    target: _Target,
    yardstick: Encoder | None,
    references: tuple[Array, ...] | None,
    settings: dict[str, Any],
) -> Reconstruction:
    """One row: invert, and measure."""
    encoder, seen = method.encoder, target.seen
    began = time.perf_counter()
    # Features are in the encoder's own layout by now.
    own = settings | {"layout": encoder.layout}
    result = inverted(method, target.features, target.shape, own)
    seconds = time.perf_counter() - began
    image = np.asarray(to_host(result.image))
    notes = (*target.notes, *result.notes)
    if result.stop_reason in ("interrupted", "time_limit"):
        notes = (*notes, result.stop_reason)
    ruler = encoder if yardstick is None else yardstick
    wanted = encoded(ruler, seen) if seen is not None else to_host(target.features)
    error, pairwise = _errors(ruler, image, wanted, references)
    ncc = ssim = psnr = np.nan
    if seen is not None and image.shape == seen.shape:
        ncc, ssim, psnr = (of(image, seen) for of in (metrics.ncc, metrics.ssim, metrics.psnr))
    elif seen is not None:
        size = "x".join(map(str, image.shape))
        notes = (*notes, f"its image is of {size}, and not compared with the photograph")
    return Reconstruction(
        target.name,
        error,
        pairwise,
        ncc,
        ssim,
        psnr,
        seconds=seconds,
        image=image,
        notes=notes,
        encoder=encoder,
        features=target.features,
    )


def _errors(
    ruler: Encoder, image: np.ndarray, target: np.ndarray, references: tuple[Array, ...] | None
) -> tuple[float, float]:
    """Relative error and error in the paper's unit of an image's features; NaN without a unit."""
    features = encoded(ruler, as_seen(image, ruler))
    phi, phi_0 = features.astype(np.float64).ravel(), target.astype(np.float64).ravel()
    error = float(metrics.feature_error(phi[None], phi_0[None])[0])
    if references is None:
        channels = 1 if image.ndim == 2 else image.shape[-1]
        size = (ruler.channels or channels, *image.shape[:2])
        others = [from_batch(x) for x in photographs(size)]
    else:
        others = [as_seen(_photograph(each, [ruler]), ruler) for each in references]
    if len(others) < 2:
        return error, np.nan
    unit = metrics.pairwise_distance(encoded(ruler, other) for other in others)
    return error, 100 * float(np.linalg.norm(phi - phi_0)) / unit


def encoded(encoder: Encoder, image: np.ndarray) -> np.ndarray:
    """Features of one image in [0, 1], flat."""
    return to_host(encoder.encode(encoder.asarray(_batch(image, encoder)))).ravel()


def _batch(image: np.ndarray, encoder: Encoder) -> np.ndarray:
    """An image (H, W) or (H, W, C) as a batch of one that an encoder takes."""
    return as_batch(
        image,
        precision=encoder.precision,
        channels=encoder.channels,
        any_channels=encoder.any_channels,
    )


def _reason(error: Exception) -> str:
    """One line that says why something failed."""
    return " ".join((str(error) or type(error).__name__).split())
