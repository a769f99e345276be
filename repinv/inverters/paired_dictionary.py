"""HOGgles' paired dictionary, for any encoder with cells on a grid."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from repinv.encoders import expressions
from repinv.encoders._parts import learning, validation
from repinv.encoders.base import Encoder
from repinv.encoders.sparse import cell_windows, lasso
from repinv.encoders.sparse.hoggle import HOGgle
from repinv.inverters import base
from repinv.io.streams import Images


@dataclasses.dataclass(frozen=True, eq=False)
class PairedDictionary(base.Windowed):
    """Windows of cells coded by a few atoms; the patches of these, in the same shares, are shown.

    Parameters
    ----------
    encoder : Encoder
        Φ, which is inverted.
    side : int
        Cells along a window.
    atoms : array, shape (K, side² · D)
        Atoms of the features of a window.
    patches : array, shape (K, p²)
        What each looks like in the middle of the window.
    penalty : float
        λ of the lasso.

    See Also
    --------
    repinv.inverters.DirectOptimization : The image in a basis of natural images whose features are
        nearest, without other priors.
    repinv.inverters.ExemplarLDA : For each window the mean patch of what a detector trained on that
        window alone finds best.
    repinv.invert : Find natural-looking images that an encoder cannot tell from the one encoded.

    Examples
    --------
    >>> import repinv, skimage
    >>> from repinv.inverters import PairedDictionary
    >>> image = skimage.data.camera()[::4, ::4]
    >>> hoggles = PairedDictionary.pretrained(256)
    >>> result = hoggles.invert(hoggles.encoder(image), shape=image.shape)
    >>> result.image.shape, bool(result.error[0] < 1)
    ((128, 128), True)
    """

    encoder: Encoder
    side: int
    atoms: np.ndarray
    patches: np.ndarray
    penalty: float = 0.02

    def __post_init__(self) -> None:
        base.fields(self, {"atoms": 2, "patches": 2})

    @classmethod
    def fit(
        cls,
        images: Images,
        encoder: Encoder | str,
        *,
        n_atoms: int = 1024,
        window: int | None = None,
        penalty: float = 0.02,
        windows_per_image: int = 200,
        seed: int = 0,
        progress: bool = True,
    ) -> PairedDictionary:
        """Learn from images, each read once.

        Parameters
        ----------
        images : iterable of array or path, or path
            Arrays (H, W) or (H, W, 3), of floats in [0, 1] or integers that stand for fractions of
            white; paths of images; or that of a folder of images.
        encoder : Encoder or str
            With cells, blocks or descriptors on one grid.
        n_atoms : int
            K.
        window : int, optional
            Cells along a window; by default 5, or fewer where these are wide.
        penalty : float
            λ of the lasso, in learning and after.
        windows_per_image : int
            How many of a photograph are learned from.
        seed : int
            Of the draw of windows, and of the dictionary's start.
        progress : bool
            Show a progress bar.

        Raises
        ------
        ValueError
            If there are fewer windows than atoms.
        """
        encoder = expressions.encoder_of(encoder)
        side = cut = 0

        def rows() -> Iterator[np.ndarray]:
            nonlocal side, cut
            for side, windows, patches in base.pairs(  # noqa: B007
                images, encoder, window, windows_per_image, seed, progress
            ):
                cut = windows.shape[1]
                units = [cell_windows.standardized(one)[0] for one in (windows, patches)]
                varies = np.any(units[0] != 0, axis=1) & np.any(units[1] != 0, axis=1)
                yield np.concatenate(units, axis=1)[varies]

        count = validation.whole("n_atoms", n_atoms)
        joint = learning.dictionary(rows(), count, penalty, seed)
        return cls(encoder, side, joint[:, :cut], joint[:, cut:], penalty)

    @classmethod
    def of(cls, hoggle: HOGgle) -> PairedDictionary:
        """The inverter of the dictionary of a `repinv.HOGgle`."""
        return cls(hoggle.local, hoggle.side, hoggle.atoms, hoggle.patches, hoggle.penalty)

    @classmethod
    def pretrained(cls, n_atoms: int = 1024) -> PairedDictionary:
        """One of those that ship with repinv, for `HOG.vlfeat`; see `HOGgle.pretrained`."""
        return cls.of(HOGgle.pretrained(n_atoms))

    @property
    def _width(self) -> int:
        return int(self.atoms.shape[1])

    @functools.cached_property
    def _gram(self) -> np.ndarray:
        exact = self.atoms.astype(np.float64)
        return (exact @ exact.T).astype(np.float32)

    def _patches(self, windows: np.ndarray) -> np.ndarray:
        unit, _ = cell_windows.standardized(windows)
        atoms = self.atoms.astype(unit.dtype, copy=False)
        code = np.empty((len(unit), len(atoms)), unit.dtype)
        gram = self._gram.astype(unit.dtype, copy=False)
        lasso.codes(gram, unit @ atoms.T, self.penalty, code)
        return np.asarray(code @ self.patches)
