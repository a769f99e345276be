"""Any encoder as a scikit-learn transformer, and the weights of what follows it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectorMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from repinv.encoders import expressions, parameters
from repinv.encoders.base import Encoder
from repinv.tasks.invert import invert


class Transformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Images → flat features, as a step of a pipeline.

    Parameters
    ----------
    encoder : Encoder or str
        What images are encoded with, or its expression on the command line, such as
        ``"hog.vlfeat(cell_size=4)"``. It is not fitted here; see e.g. `repinv.BoVW.fit`.
    image_shape : tuple of int, optional
        (H, W) or (H, W, C) of images that come as flat rows; one of these may be -1, as in
        `numpy.reshape`. None where they come as images.
    inversion : dict, optional
        Options of `repinv.invert` for `inverse_transform`, such as ``{"max_iter": 200}``.

    Attributes
    ----------
    image_shape_ : tuple of int
        Shape of the images that it was fitted to.
    n_features_in_ : int
        Numbers in one of these.

    Notes
    -----
    Images of one call are all of one size. Pixel values are taken as they are, as in a call of the
    encoder; fitting looks at their shape alone.

    Parameters of the encoder are those of the transformer behind ``encoder__``, as in a search over
    ``encoder__cell_size``: the options of an expression, or the fields of an encoder and of its
    flavour.

    Examples
    --------
    >>> import numpy as np
    >>> import repinv
    >>> from repinv.sklearn import Transformer
    >>> images = np.random.default_rng(0).random((5, 32, 32), dtype=np.float32)
    >>> Transformer(repinv.HOG.vlfeat()).fit_transform(images).shape
    (5, 496)
    >>> Transformer("hog.vlfeat").set_params(encoder__cell_size=4).fit_transform(images).shape
    (5, 1984)
    """

    def __init__(
        self,
        encoder: Encoder | str,
        *,
        image_shape: tuple[int, ...] | None = None,
        inversion: dict[str, Any] | None = None,
    ) -> None:
        self.encoder = encoder
        self.image_shape = image_shape
        self.inversion = inversion

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name; deep, those of the encoder too, behind ``encoder__``.

        Parameters
        ----------
        deep : bool

        Returns
        -------
        params : dict
        """
        found: dict[str, Any] = super().get_params(deep=False)
        if deep:
            nested = parameters.of(self.encoder)
            found |= {f"encoder__{name}": value for name, value in nested.items()}
        return found

    def set_params(self, **params: Any) -> Transformer:
        """Change parameters, those of the encoder behind ``encoder__``.

        Parameters
        ----------
        **params

        Returns
        -------
        self : Transformer

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        nested = {name: params.pop(name) for name in [*params] if name.startswith("encoder__")}
        super().set_params(**params)
        changes = {name.removeprefix("encoder__"): value for name, value in nested.items()}
        if changes:
            self.encoder = parameters.changed(self.encoder, changes)
        return self

    def fit(self, X: Any, y: Any = None) -> Transformer:
        """Note the shape of images.

        Parameters
        ----------
        X : array, shape (N, H, W), (N, H, W, C), or (N, H·W·C) with `image_shape`
        y : object
            Not used.

        Returns
        -------
        self : Transformer

        Raises
        ------
        ValueError
            If these are no images, or too small for the encoder.
        """
        images = self._images(X, reset=True)
        self.image_shape_ = images.shape[1:]
        self._n_features_out = self._encoded(images[:1]).shape[1]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Encode images.

        Parameters
        ----------
        X : array, as for `fit`

        Returns
        -------
        features : ndarray, shape (N, number of features)

        Raises
        ------
        ValueError
            If the images have another shape than those of `fit`.
        """
        check_is_fitted(self)
        images = self._images(X, reset=False)
        if images.shape[1:] != self.image_shape_:
            raise ValueError(
                f"expected images of shape {self.image_shape_}, as fitted; got {images.shape[1:]}. "
                "Resize them, or fit again."
            )
        return self._encoded(images)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Find images of features, by `repinv.invert`.

        Parameters
        ----------
        X : array, shape (N, number of features)
            As `transform` returns them.

        Returns
        -------
        images : ndarray, of the shape that `fit` was given but for N
            In the encoder's range of pixel values, such as [0, 1]: images, or flat rows with
            `image_shape`.

        Raises
        ------
        ValueError
            If the features are of another number than those of `transform`.
        """
        check_is_fitted(self)
        rows = check_array(X, estimator=self)
        if rows.shape[1] != self._n_features_out:
            raise ValueError(
                f"expected rows of {self._n_features_out} features, as transform returns them; got "
                f"{rows.shape[1]}. Give those of images of shape {self.image_shape_}."
            )
        encoder = expressions.encoder_of(self.encoder)
        shape = np.moveaxis(np.empty(self.image_shape_, bool), encoder.channel_axis, -1).shape
        shape = shape if len(self.image_shape_) == 3 else self.image_shape_
        options = {"layout": encoder.layout} | dict(self.inversion or {})
        images = invert(rows, encoder, shape=shape, **options).images
        if images.ndim == 4:
            axis = encoder.channel_axis
            images = np.moveaxis(images, -1, axis if axis < 0 else axis + 1)
        low, high = (0.0, 1.0) if encoder.unit_pixels else encoder.value_range
        images = low + (high - low) * images
        return images.reshape(len(rows), -1) if self.image_shape is not None else images

    def _images(self, X: Any, *, reset: bool) -> np.ndarray:
        """Checked images (N, H, W) or (N, H, W, C)."""
        if self.image_shape is not None:
            rows: np.ndarray = validate_data(self, X, reset=reset)
            shape = tuple(self.image_shape)
            try:
                return rows.reshape(len(rows), *shape)
            except ValueError:
                raise ValueError(
                    f"expected rows of images of shape image_shape={shape}; got rows of "
                    f"{rows.shape[1]} numbers. Give the shape of the images."
                ) from None
        images: np.ndarray = check_array(X, ensure_2d=False, allow_nd=True, estimator=self)
        if images.ndim not in (3, 4):
            raise ValueError(
                f"expected images of shape (N, H, W) or (N, H, W, C); got {images.shape}. "
                "Give image_shape=(H, W) if rows are flattened images."
            )
        if reset:
            self.n_features_in_ = int(np.prod(images.shape[1:]))
        return images

    def _encoded(self, images: np.ndarray) -> np.ndarray:
        """Features of images, one row each."""
        encoder = expressions.encoder_of(self.encoder)
        return np.stack([np.ravel(encoder(image)) for image in images])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self.image_shape is not None
        tags.input_tags.three_d_array = self.image_shape is None
        tags.requires_fit = True
        return tags


def direction(pipeline: Pipeline | BaseEstimator, target: Any = None) -> np.ndarray:
    """The weights of a pipeline's linear classifier or regressor, for the features of its encoder.

    Parameters
    ----------
    pipeline : sklearn.pipeline.Pipeline or estimator
        Fitted. An estimator with ``coef_``, such as ``LinearSVC``, of the features themselves; or
        a pipeline: a `Transformer`, or steps before features; then scalers, PCA, TruncatedSVD or
        selectors of features; then an estimator with ``coef_``. Without a `Transformer` all
        steps but the last are taken to follow the encoder.
    target : object, optional
        The class whose score it is; it may be left out of two classes, where it is the second, and
        of one regression.

    Returns
    -------
    weights : ndarray, shape (number of features,)
        The gradient of the score with respect to the encoder's features, for `repinv.maximize`.

    Raises
    ------
    ValueError
        If a step is not linear, or there is no such class.

    Examples
    --------
    >>> import numpy as np, repinv
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import LinearSVC
    >>> from repinv.sklearn import Transformer, direction
    >>> images = np.random.default_rng(0).random((20, 32, 32), dtype=np.float32)
    >>> labels = np.arange(20) % 2
    >>> model = make_pipeline(Transformer("hog.skimage"), StandardScaler(), LinearSVC())
    >>> weights = direction(model.fit(images, labels))
    >>> repinv.maximize("hog.skimage", weights, shape=(32, 32), max_iter=30).image.shape
    (32, 32)
    """
    named = pipeline.steps if isinstance(pipeline, Pipeline) else [("", pipeline)]
    steps = [step for _, step in named if step not in (None, "passthrough")]
    last = steps.pop()
    encoders = [number for number, step in enumerate(steps) if isinstance(step, Transformer)]
    after = steps[encoders[-1] + 1 :] if encoders else steps
    weights = _coefficients(last, target)
    for step in reversed(after):
        weights = _before(step, weights)
    return weights


def _coefficients(estimator: Any, target: Any) -> np.ndarray:
    """The row of a linear estimator's weights that belongs to a class."""
    if not hasattr(estimator, "coef_"):
        raise ValueError(
            f"the last step must be a fitted linear estimator, with coef_; got {estimator!r}."
        )
    rows = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    classes = list(getattr(estimator, "classes_", range(len(rows))))
    if target is None:
        if len(rows) > 1:
            raise ValueError(f"target is needed: one of {classes}.")
        return np.asarray(rows[0])
    if target not in classes:
        raise ValueError(f"target must be one of {classes}; got {target!r}.")
    number = classes.index(target)
    if len(rows) == 1 and len(classes) == 2:
        return np.asarray(rows[0] if number == 1 else -rows[0])
    return np.asarray(rows[number])


def _before(step: Any, weights: np.ndarray) -> np.ndarray:
    """Weights of what comes into a linear step, from those of what comes out."""
    found: Any
    if isinstance(step, StandardScaler | MaxAbsScaler):
        scale = getattr(step, "scale_", None)
        found = weights if scale is None else weights / scale
    elif isinstance(step, MinMaxScaler) and not step.clip:
        found = weights * step.scale_
    elif isinstance(step, PCA):
        scale = np.sqrt(step.explained_variance_) if step.whiten else 1.0
        found = (weights / scale) @ step.components_
    elif isinstance(step, TruncatedSVD):
        found = weights @ step.components_
    elif isinstance(step, SelectorMixin):
        found = step.inverse_transform(weights[None])[0]
    else:
        raise ValueError(
            f"weights cannot be carried back through {step!r}, which is not linear. Steps between "
            "the encoder and the estimator may be scalers, PCA, TruncatedSVD and selectors of "
            "features."
        )
    return np.asarray(found)
