"""Inversion: natural-looking images that an encoder maps to given features."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from repinv._core.typing import Array
from repinv.encoders import expressions
from repinv.encoders.base import Encoder
from repinv.energy.energy import Weighted
from repinv.search import validation
from repinv.search.feature_layout import read
from repinv.search.restoration.restorer import Restorer
from repinv.search.result import Result
from repinv.search.run import Watch
from repinv.search.schedule import Stage
from repinv.search.setup import InvertOptions, setup
from repinv.solvers.minimize import Snapshot
from repinv.solvers.rules import UpdateRule
from repinv.tasks import batched
from repinv.variables.base import Parametrization
from repinv.variables.transforms import Jitter, RandomView


def invert(
    features: Array,
    encoder: Encoder | str,
    *,
    shape: tuple[int, ...] | None = None,
    layout: str | None = None,
    rescale: bool = False,
    n_preimages: int = 1,
    mask: Array | None = None,
    filter_group: slice | Sequence[int] | None = None,
    neighbourhood: int | None = None,
    max_iter: int = 400,
    solver: UpdateRule | tuple[Stage, ...] | None = None,
    parametrization: Parametrization | None = None,
    priors: tuple[Weighted, ...] | None = None,
    prior: str | os.PathLike[str] | Restorer | None = None,
    seeds: int | None = None,
    transforms: str | Sequence[Jitter | RandomView] | None = None,
    jitter: int = 0,
    initial: Any = None,
    polarity: Any = "auto",
    seed: int = 0,
    tol: float = 0.0,
    check_every: int = 10,
    time_limit: float | None = None,
    callback: Callable[[Snapshot], object] | None = None,
    progress: bool = False,
) -> Result:
    """Find natural-looking images that an encoder cannot tell from the one encoded.

    Parameters
    ----------
    features : array
        Φ₀, in the layout in which the mirrored library returns it, or flat. Of several images: a
        stack of these along a first axis, such as rows (N, D), and each is a problem of its own.
    encoder : Encoder or str
        Φ; or its expression on the command line, such as ``"hog.vlfeat(cell_size=4)"``.
    shape : tuple of int, optional
        (H, W) or (H, W, C) of the image. Where features determine the size well enough it may be
        left out: the smallest size that fits is taken, and `Result.notes` says so.
    layout : {"channels_first", "channels_last"}, optional
        Where channels stand in features that are maps. It is read from their shape, unless that
        leaves it open: VLFeat's C code returns HOG as (31, y, x), cyvlfeat and MATLAB return it as
        (y, x, 31), and their flat features do not show which.
    rescale : bool
        Scale features that are at another scale than the encoder's, such as SIFT descriptors as
        uint8 or words that were counted. Only where the norm of an encoder's features is fixed;
        else it is an error. By default `Result.notes` says by which factor they differ.
    n_preimages : int
        Images to find, each from a start of its own; of several images' features, for each of
        these, one after the other.
    mask : array, broadcastable to the features in their layout, optional
        Boolean, or weights ≥ 0 of the squared differences: which features count.
    filter_group : slice or sequence of int, optional
        Channels of a map of features that count, such as ``slice(0, 96)``.
    neighbourhood : int, optional
        Of a map of features, only so many positions a side in the middle count.
    max_iter : int
        Evaluations of the energy.
    solver : UpdateRule or tuple of Stage, optional
        A rule that runs alone on the true encoder, or stages. By default L-BFGS; of encoders with
        hard assignments, smoothed versions are inverted first.
    parametrization : Parametrization, optional
        What is optimized; by default `Spectral`, in natural colours for three channels, and in
        faint ones where features do not tell which channel is which. That, how steep its spectrum
        is, and the contrast and gray of the start, are measured on the encoder.
    priors : tuple of Weighted, optional
        By default `repinv.tasks.PRIORS`.
    prior : {"learned"}, Restorer or path, optional
        What a rough inversion, a quarter of the run, is restored by, and the rest of the run pulled
        towards: "learned" is the one that ships for HOG, dense SIFT or bags of words; a path is
        that of a file. Of colour images the mean of the channels is restored.
    seeds : int, optional
        Starts of each image, averaged after a third of the run (half with hard assignments, a
        quarter with a prior); the rest of the run is pulled towards the average. What the features
        determine is common to the starts, and what differs averages out. Each start takes its
        evaluations, so the time grows with `seeds`. 1 by default. With a `solver` that does not
        average them, the best of them is returned.
    transforms : {"robust"} or sequence of Jitter or RandomView, optional
        Random changes of the image in most steps, the first applied first: the features of each
        view of it are brought to the target (see Notes). Their `base` is set to the
        parametrization, and their seeds to those that follow from `seed`. "robust" is a
        `RandomView` of small rotations, shifts and changes of size.
    jitter : int
        Largest random shift of the image in these steps, in pixels, before `transforms`.
    initial : array, shape (H, W) or (H, W, C), in [0, 1], or inverter, optional
        Image to start from, in place of noise; or one of `repinv.inverters`, to start from the
        image that it finds.
    polarity : {"auto", "structures"}, None or array, shape (H, W) or (H, W, C), in [0, 1]
        What is light and what dark, for encoders to which an image and its negative are the same,
        such as HOG without signs; whether an encoder is one is measured, and `Result.notes` says
        so. "auto": a network that was learned from photographs decides after a quarter of the run,
        where one ships (nine orientations); elsewhere as "structures". "structures":
        the run begins with large structures, under a spectrum that is steep at first, and keeps
        the image or its negative, whichever has grays that are likelier those of a photograph. An
        image decides for the result to be light where it is, and a stack of images (N, H, W) or
        (N, H, W, C) for those of N images' features; None inverts the encoder as any other. Where
        a solver, parametrization, transforms or an initial image are given, it is None.
    seed : int
        Of the starts and the transforms. The same seed gives the same result, bit for bit, on one
        machine with the same versions of the libraries.
    tol : float
        Stop when no energy falls by more than this share between two checks; 0 never does.
    check_every : int
        Iterations between two checks of the energy, the clock and the callback.
    time_limit : float, optional
        Seconds.
    callback : callable, optional
        Shown a `Snapshot` at every check; the run stops when it returns True.
    progress : bool
        Show a progress bar.

    Returns
    -------
    result : Result
        Also when interrupted from the keyboard: with the best images so far. Of several images'
        features, the images in their order.

    Raises
    ------
    TypeError, ValueError
        If the features are not the encoder's, could be in two layouts, or an option is impossible.

    See Also
    --------
    repinv.maximize : Find natural-looking images that excite a component of a representation.
    repinv.caricature : Exaggerate what a representation sees in an image.
    repinv.resume : Continue a run that was stopped early and saved, to the end it would have had.
    repinv.compare : Invert one image by several methods, and measure what each finds.

    Notes
    -----
    The last layers of a network leave nearly all of an image undetermined. By default the image of
    least error is looked for. With `transforms` every view of the image must have the target's
    features, as views of a photograph nearly have: what shows at one position and size alone
    averages out. The error is then larger, of the image itself (`Result.error`), and larger still
    of its views (`Result.view_error`). Four fifths of the run look at views, by Adam; the rest at
    the image itself, without views, by the default stages.

    References
    ----------
    .. [1] Mahendran and Vedaldi, "Visualizing deep convolutional neural networks using natural
       pre-images", IJCV 120, 2016, eq. (2). :doi:`10.1007/s11263-016-0911-8`

    Examples
    --------
    >>> import numpy as np, repinv
    >>> image = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    >>> hog = repinv.HOG.vlfeat(bilinear_orientations=True)
    >>> result = repinv.invert(hog(image), hog, shape=(32, 32), max_iter=100)
    >>> result.image.shape, bool(result.error[0] < 0.01)
    ((32, 32), True)

    Features of several images, flat as rows of a data set are:

    >>> rows = np.stack([hog(image).ravel(), hog(image.T).ravel()])
    >>> repinv.invert(rows, hog, shape=(32, 32), max_iter=20).images.shape
    (2, 32, 32)
    """
    encoder = expressions.encoder_of(encoder)
    reading = read(features, encoder, shape, layout)
    options = InvertOptions(
        rescale=rescale,
        n_preimages=n_preimages,
        mask=mask,
        filter_group=filter_group,
        neighbourhood=neighbourhood,
        max_iter=max_iter,
        solver=solver,
        parametrization=parametrization,
        priors=priors,
        prior=prior,
        seeds=seeds,
        transforms=transforms,
        jitter=jitter,
        initial=initial,
        polarity=polarity,
        seed=seed,
        tol=tol,
        check_every=check_every,
    )
    starts = [
        setup(reading.of(number), encoder, replace(options, polarity=one))
        for number, one in enumerate(validation.polarities(polarity, reading))
    ]
    results = batched.solved(starts, Watch(time_limit, callback, progress))
    return results[0] if len(results) == 1 else batched.as_one(results)
