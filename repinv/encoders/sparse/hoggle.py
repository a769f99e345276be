"""HOGgles: windows of HOG as positive sparse codes in a dictionary paired with gray patches."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from tqdm.auto import tqdm

from repinv._core import positions
from repinv._core.typing import Array, Pullback, SizeRange
from repinv.encoders._parts import array_fields, learning, local_descriptors, validation
from repinv.encoders._parts.descriptor_encoder import DescriptorEncoder
from repinv.encoders.base import Encoder
from repinv.encoders.hog.hog import HOG
from repinv.encoders.sparse import cell_windows, lasso, pairs
from repinv.io import shipped
from repinv.io.streams import Images, stream, total

#: SHA-256 of the files that ship, by number of atoms; `scripts/learn_hoggles.py` prints them.
CHECKSUMS = {
    256: "ceabad4574ad5b0e49ccd937d5558639fa2579e93e656a01541807df7180fa80",
    1024: "a099faaae8a7f734f8e0f1288094c8c35bcf2c678ad8dc5b97e2907245025a23",
}


@dataclasses.dataclass(frozen=True, eq=False)
class HOGgle(DescriptorEncoder):
    """Positive sparse codes of all windows of cells, in a dictionary paired with gray patches.

    Parameters
    ----------
    local : Encoder
        Of one map of cells, such as `HOG.vlfeat`.
    atoms : array, shape (K, side² · D)
        What windows of side × side cells are made of, cell by cell.
    patches : array, shape (K, p²)
        The gray patches that belong to the atoms: of p = 4 (side + 2) samples a side, four a cell,
        and one cell more than the window at each side.
    penalty : float
        λ of the lasso.

    See Also
    --------
    repinv.HOG : Histograms of oriented gradients, exact and differentiable.
    repinv.inverters.PairedDictionary : Windows of cells coded by a few atoms; the patches of these,
        in the same shares, are shown.

    Notes
    -----
    Equation :eq:`hoggle` of the documentation.

    A window x, without its mean and of unit norm, has the code argmin ½‖x − Σ αₖ dₖ‖² + λ Σ αₖ over
    α ≥ 0. Features (K, rows, columns) are the codes of all windows that lie inside the map.

    The code is found exactly, by active sets. On those, D_Aᵀ D_A α_A = D_Aᵀ x − λ, which gives the
    pullback; atoms at zero pass nothing, nor do constant windows.

    References
    ----------
    .. [1] C. Vondrick, A. Khosla, T. Malisiewicz and A. Torralba, "HOGgles: Visualizing object
       detection features", ICCV 2013, doi:10.1109/ICCV.2013.8

    Examples
    --------
    >>> import numpy as np
    >>> import repinv
    >>> hoggle = repinv.HOGgle.pretrained(256)
    >>> image = np.random.default_rng(0).random((64, 80), dtype=np.float32)
    >>> code = hoggle(image)
    >>> code.shape, hoggle.decode(code, (64, 80)).shape
    ((256, 4, 6), (64, 80))
    """

    local: Encoder
    atoms: np.ndarray
    patches: np.ndarray
    penalty: float = 0.02

    def __post_init__(self) -> None:
        atoms = array_fields.private("atoms", self.atoms, 2)
        patches = array_fields.private("patches", self.patches, 2)
        penalty = validation.real("penalty", self.penalty, above=0)
        width = local_descriptors.width(self.local, "HOGgle")
        side = round((atoms.shape[1] / width) ** 0.5)
        if side < 1 or side * side * width != atoms.shape[1]:
            raise ValueError(
                f"atoms have {atoms.shape[1]} numbers each, which are no square of cells with "
                f"{width} numbers, as {array_fields.spelled(self.local)} has. Use the local "
                "encoder that they were fitted with."
            )
        samples = cell_windows.patch_side(side)
        if patches.shape != (len(atoms), samples**2):
            raise ValueError(
                f"expected a patch of {samples} x {samples} samples "
                f"for each of {len(atoms)} atoms; got patches of shape {patches.shape}."
            )
        for attribute in ("channels", "value_range", "precision"):
            object.__setattr__(self, attribute, getattr(self.local, attribute))
        for name, value in (("atoms", atoms), ("patches", patches), ("penalty", penalty)):
            object.__setattr__(self, name, value)

    @classmethod
    def fit(
        cls,
        images: Images,
        local: Encoder | str | None = None,
        n_atoms: int = 1024,
        *,
        window: int = 5,
        penalty: float = 0.02,
        windows_per_image: int = 200,
        seed: int = 0,
        progress: bool = True,
    ) -> HOGgle:
        """Learn a paired dictionary from images, each read once.

        Parameters
        ----------
        images : iterable of array or path, or path
            Gray arrays (H, W), whose pixel values are taken as they are, as in a call of the local
            encoder; paths of images; or that of a folder of images.
        local : Encoder or str, optional
            Of one map of cells; by default `HOG.vlfeat`.
        n_atoms : int
            K.
        window : int
            Cells along a window.
        penalty : float
            λ of the lasso, in learning and after.
        windows_per_image : int
            How many to learn from, drawn at random; constant ones are left out.
        seed : int
            Of that draw, and of the dictionary's start.
        progress : bool
            Show a progress bar.

        Returns
        -------
        HOGgle
            When interrupted from the keyboard, with what was learned until then, and a warning.

        Raises
        ------
        ValueError
            If there are fewer windows than atoms.
        """
        local = HOG.vlfeat() if local is None else local_descriptors.encoder_of(local)
        count = validation.whole("n_atoms", n_atoms)
        side = validation.whole("window", window)
        penalty = validation.real("penalty", penalty, above=0)
        most = validation.whole("windows_per_image", windows_per_image)
        bar = tqdm(stream(images, local), total=total(images), disable=not progress, unit="image")
        rows = pairs.stream(bar, local, side, most, seed)
        joint = learning.dictionary(rows, count, penalty, seed)
        cut = cell_windows.patch_side(side) ** 2
        return cls(local, joint[:, cut:], joint[:, :cut], penalty)

    @classmethod
    def pretrained(cls, n_atoms: int = 1024) -> HOGgle:
        """One of the dictionaries that ship with repinv, for `HOG.vlfeat`.

        Parameters
        ----------
        n_atoms : {256, 1024}

        Raises
        ------
        ValueError
            If there is none of that size, or its file is missing or damaged.
        """
        count = validation.whole("n_atoms", n_atoms)
        if count not in CHECKSUMS:
            raise ValueError(
                f"n_atoms must be one of {', '.join(map(str, CHECKSUMS))}, which ship with repinv; "
                f"got {count}. Choose one of these, or learn a dictionary with HOGgle.fit."
            )
        name = f"hoggle_{count}.npz"
        package = "repinv.encoders.sparse"
        return shipped.loaded(cls.load, package, "dictionaries", name, CHECKSUMS[count])

    @property
    def side(self) -> int:
        """Cells along a window."""
        return int(
            round(self.patches.shape[1] ** 0.5) // cell_windows.SAMPLES - 2 * cell_windows.MARGIN
        )

    @property
    def descriptor_axis(self) -> int:
        """Axis of a window's code; see `Encoder`."""
        return 0

    def frames(self, image_shape: tuple[int, ...], /) -> np.ndarray:
        """Centres (y, x) of the windows; see `Encoder.frames`."""
        _, down, across = self.feature_shape(image_shape)
        cells = cell_windows.lattice(self.local, image_shape)
        middle = (self.side - 1) / 2
        centres = [
            origin + (np.arange(count) + middle) * spacing
            for origin, count, spacing in zip(
                cells.origin, (down, across), cells.spacing, strict=True
            )
        ]
        return positions.grid(*centres)

    def feature_shape(self, image_shape: tuple[int, ...], /) -> tuple[int, ...]:
        """Shape (K, rows, columns) of the codes of an image (C, H, W)."""
        cells = cell_windows.lattice(self.local, image_shape)
        down, across = cells.windows(self.side)
        if not down or not across:
            raise ValueError(
                f"an image of {image_shape[1]}x{image_shape[2]} pixels has {cells.rows}x"
                f"{cells.columns} cells; windows need {self.side} along each side. Give a larger "
                "image."
            )
        return len(self.atoms), down, across

    def image_shapes(self, feature_shape: tuple[int, ...], /) -> SizeRange | None:
        """Image sizes whose codes have this shape."""
        if len(feature_shape) != 3 or feature_shape[0] != len(self.atoms):
            return None
        cells = [n + self.side - 1 for n in feature_shape[1:]]
        axis = self.local.descriptor_axis or 0
        cells.insert(axis, self.atoms.shape[1] // self.side**2)
        return self.local.image_shapes(tuple(cells))

    def vjp(self, x: Array, /) -> tuple[Array, Pullback]:
        """Encode a batch, and return the map that pulls cotangents back; see `Encoder.vjp`.

        Parameters
        ----------
        x : ndarray, shape (N, C, H, W), float32 or float64, in [0, 1]
            Images.

        Returns
        -------
        features : ndarray, shape (N, K, rows, columns), of the same dtype
        pullback : callable
        """
        self.feature_shape(x.shape[1:])
        return super().vjp(x)

    def encode(self, x: Array, /) -> Array:
        """Codes (N, K, rows, columns) of a batch, without what a pullback needs; see `vjp`."""
        self.feature_shape(x.shape[1:])
        return super().encode(x)

    def code(self, features: Array, /) -> np.ndarray:
        """Codes (K, rows, columns) of cells that the local encoder computed, of one image.

        Parameters
        ----------
        features : array, in the layout of the local encoder
            What `encode` of the local encoder gives, of one image or several.

        Raises
        ------
        ValueError
            If they are no such cells, too few, or not finite.
        """
        given = np.asarray(features)
        cells = self._cells(given.astype(np.result_type(given, np.float32), copy=False))
        if not np.isfinite(cells).all():
            raise ValueError("features must be finite; some are NaN or infinite.")
        return self._of_cells(cells)[0]

    def decode(self, code: Array, shape: tuple[int, int] | None = None) -> np.ndarray:
        """The image that HOGgles show for codes: their patches, where they overlap averaged.

        Parameters
        ----------
        code : array, shape (K, rows, columns) or (N, K, rows, columns)
            Weights of the atoms at every window.
        shape : (int, int), optional
            (H, W) of the image; by default the smallest that has such codes.

        Returns
        -------
        image : ndarray, shape (H, W) or (N, H, W), in [0, 1]
            From its least value, black, to its largest, white.

        Raises
        ------
        ValueError
            If images of this shape have other codes.
        """
        codes = np.asarray(code)
        batch = codes if codes.ndim == 4 else codes[None]
        if shape is None:
            sizes = self.image_shapes(batch.shape[1:])
            if sizes is None:
                raise ValueError(
                    f"codes of shape {codes.shape} do not determine the size of the image; pass "
                    "shape=(H, W)."
                )
            shape = (sizes[0][0], sizes[1][0])
        expected = self.feature_shape((self.channels or 1, *shape))
        if batch.shape[1:] != expected:
            raise ValueError(
                f"expected codes of shape {expected} for an image of {shape[0]}x{shape[1]} pixels; "
                f"got {batch.shape[1:]}."
            )
        cells = cell_windows.lattice(self.local, (self.channels or 1, *shape))
        images = [
            cell_windows.within(
                cell_windows.together(
                    one.reshape(len(one), -1).T @ self.patches, cells, self.side, shape
                )
            ).astype(np.result_type(codes, np.float32))
            for one in batch
        ]
        return np.stack(images) if codes.ndim == 4 else images[0]

    def with_surrogate_slopes(self, width: float, /) -> None:
        """None: codes are pulled back as they are, the local encoder's clips included."""
        return

    @property
    def annealing(self) -> tuple[tuple[float, float], ...]:
        """None: codes are met sooner by the encoder itself than by softened ones before it."""
        return ()

    @property
    def _codebook(self) -> tuple[int, int]:
        return len(self.atoms), self.atoms.shape[1] // self.side**2

    @functools.cached_property
    def _single(self) -> tuple[np.ndarray, np.ndarray]:
        return self.atoms.astype(np.float32), _gram(self.atoms).astype(np.float32)

    @functools.cached_property
    def _double(self) -> tuple[np.ndarray, np.ndarray]:
        return self.atoms.astype(np.float64), _gram(self.atoms)

    def _cells(self, features: np.ndarray) -> np.ndarray:
        """Features of one image as a map (rows, columns, D)."""
        axis, width = self.local.descriptor_axis or 0, self._codebook[1]
        if features.ndim != 3 or features.shape[axis] != width:
            raise ValueError(
                f"expected a map of cells with {width} numbers each along axis {axis}, as "
                f"{array_fields.spelled(self.local)} returns it; got shape {features.shape}. This "
                "dictionary is for that encoder alone."
            )
        return np.moveaxis(features, axis, -1)

    def _of_cells(self, cells: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Codes (K, rows, columns) of a map (rows, columns, D), and their pullback to it."""
        side = self.side
        if min(cells.shape[:2]) < side:
            raise ValueError(
                f"got {cells.shape[0]}x{cells.shape[1]} cells; windows need {side} along each "
                "side. Give a larger image."
            )
        down, across = cells.shape[0] - side + 1, cells.shape[1] - side + 1
        atoms, gram = self._single if cells.dtype == np.float32 else self._double
        unit, inverse = cell_windows.standardized(cell_windows.windows(cells, side))
        code = np.empty((len(unit), len(atoms)), unit.dtype)
        lasso.codes(gram, unit @ atoms.T, self.penalty, code)

        def pullback(v: np.ndarray) -> np.ndarray:
            cotangent = np.ascontiguousarray(v.reshape(len(atoms), -1).T)
            grad = np.empty_like(unit)
            lasso.pull_codes(gram, atoms, code, cotangent, grad)
            return cell_windows.pull_windows(
                cell_windows.pull_standardized(grad, unit, inverse), side, cells.shape
            )

        return np.ascontiguousarray(code.T).reshape(len(atoms), down, across), pullback

    def _code(
        self, x: np.ndarray, image_shape: tuple[int, ...], keep: bool
    ) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Code of an image with descriptors x (cells, D), and its pullback to them."""
        shape = list(self.local.feature_shape(image_shape))
        width = shape.pop(self.local.descriptor_axis or 0)
        code, pull = self._of_cells(x.reshape(*shape, width))
        return code, lambda v: pull(v).reshape(x.shape)


def _gram(atoms: np.ndarray) -> np.ndarray:
    exact = atoms.astype(np.float64)
    return np.asarray(exact @ exact.T)
