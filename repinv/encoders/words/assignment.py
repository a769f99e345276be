"""How a descriptor is shared out between the words of a vocabulary."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from repinv.encoders._parts import validation
from repinv.encoders.words.nearest_words import local_codes, nearest, pull_local_codes
from repinv.encoders.words.softmax import pull_softmax_rows, softmax_nearest, softmax_rows


class Words(NamedTuple):
    """A vocabulary, ready for the descriptors of one precision.

    Logits of a descriptor x are x·slopeᵀ + offset: −|x − c|²/T up to |x|²/T, which no word
    distinguishes.
    """

    points: np.ndarray  # (K, D)
    slope: np.ndarray  # (K, D)
    offset: np.ndarray  # (K,)


def _words(points: np.ndarray, temperature: float) -> Words:
    """Words whose logits are −|x − c|²/temperature."""
    per_unit = points.dtype.type(1 / temperature)
    offset = -per_unit * np.einsum("kd,kd->k", points, points)
    return Words(points, (2 * per_unit) * points, offset)


def _nearest(words: Words, codes: np.ndarray, neighbours: int) -> np.ndarray:
    """Indices of the nearest words; `codes` holds the logits, less their offset."""
    index = np.empty((len(codes), min(neighbours, codes.shape[1])), np.int64)
    nearest(codes, words.offset, index)
    return index


@dataclasses.dataclass(frozen=True)
class HardAssignment:
    """One for the nearest word, zero for the others; of equally near words, the first.

    See Also
    --------
    repinv.SoftAssignment : Kernel codebook: softmax(−|x − c|²/T) over the words c.
    repinv.LLC : Locality-constrained linear coding: weights that rebuild x from its nearest words.
    repinv.BoVW : Bag of visual words: local descriptors, assigned to words and pooled over cells.

    Examples
    --------
    >>> import repinv
    >>> repinv.HardAssignment()
    HardAssignment()
    """

    def words(self, points: np.ndarray) -> Words:
        """The vocabulary as `assign` takes it."""
        return _words(points, 1.0)

    def assign(self, x: np.ndarray, words: Words, codes: np.ndarray) -> None:
        """Write the codes (B, K) of descriptors (B, D)."""
        np.matmul(x, words.slope.T, out=codes)
        index = _nearest(words, codes, 1)
        codes[:] = 0
        codes[np.arange(len(codes)), index[:, 0]] = 1

    def pull(
        self, x: np.ndarray, words: Words, kept: Any, from_codes: np.ndarray, grad: np.ndarray
    ) -> None:
        """Nothing: codes are constant but where they jump."""


@dataclasses.dataclass(frozen=True)
class SoftAssignment:
    """Kernel codebook: softmax(−|x − c|²/T) over the words c.

    Parameters
    ----------
    temperature : float
        T, in squared units of the descriptors. The default suits descriptors of norm one.
    neighbours : int, optional
        Share a descriptor between so many nearest words only.

    See Also
    --------
    repinv.HardAssignment : One for the nearest word, zero for the others; of equally near words,
        the first.
    repinv.LLC : Locality-constrained linear coding: weights that rebuild x from its nearest words.
    repinv.BoVW : Bag of visual words: local descriptors, assigned to words and pooled over cells.

    Notes
    -----
    Equation :eq:`soft-assignment` of the documentation.

    With `neighbours`, codes jump where the set of nearest words changes, and the pullback is that
    of the set at hand.

    References
    ----------
    .. [1] J. C. van Gemert et al., "Kernel codebooks for scene categorization", ECCV 2008,
       doi:10.1007/978-3-540-88690-7_52
    .. [2] L. Liu, L. Wang and X. Liu, "In defense of soft-assignment coding", ICCV 2011,
       doi:10.1109/ICCV.2011.6126534

    Examples
    --------
    >>> import repinv
    >>> repinv.SoftAssignment(temperature=0.05)
    SoftAssignment(temperature=0.05, neighbours=None)
    """

    temperature: float = 0.02
    neighbours: int | None = None

    def __post_init__(self) -> None:
        temperature = validation.real("temperature", self.temperature, above=0)
        object.__setattr__(self, "temperature", temperature)
        if self.neighbours is not None:
            object.__setattr__(self, "neighbours", validation.whole("neighbours", self.neighbours))

    def words(self, points: np.ndarray) -> Words:
        """The vocabulary as `assign` takes it."""
        return _words(points, self.temperature)

    def assign(self, x: np.ndarray, words: Words, codes: np.ndarray) -> np.ndarray:
        """Write the codes (B, K) of descriptors (B, D), which are all that `pull` needs."""
        np.matmul(x, words.slope.T, out=codes)
        if self.neighbours is None:
            softmax_rows(codes, words.offset)
        else:
            softmax_nearest(codes, words.offset, _nearest(words, codes, self.neighbours))
        return codes

    def pull(
        self,
        x: np.ndarray,
        words: Words,
        kept: np.ndarray,
        from_codes: np.ndarray,
        grad: np.ndarray,
    ) -> None:
        """Add the descriptors' cotangent that belongs to one of the codes, which is overwritten."""
        pull_softmax_rows(kept, from_codes)
        grad += from_codes @ words.slope


@dataclasses.dataclass(frozen=True)
class LLC:
    """Locality-constrained linear coding: weights that rebuild x from its nearest words.

    Parameters
    ----------
    neighbours : int
        Number of nearest words.
    regularization : float
        β: what is added to the diagonal of the neighbours' covariance, relative to its trace.

    See Also
    --------
    repinv.SoftAssignment : Kernel codebook: softmax(−|x − c|²/T) over the words c.
    repinv.HardAssignment : One for the nearest word, zero for the others; of equally near words,
        the first.
    repinv.BoVW : Bag of visual words: local descriptors, assigned to words and pooled over cells.

    Notes
    -----
    Weights sum to one and may be negative. Codes jump where the set of nearest words changes; the
    pullback is that of the set at hand.

    References
    ----------
    .. [1] J. Wang et al., "Locality-constrained linear coding for image classification",
       CVPR 2010, doi:10.1109/CVPR.2010.5540018, section 4 (approximated LLC)

    Examples
    --------
    >>> import repinv
    >>> repinv.LLC()
    LLC(neighbours=5, regularization=0.0001)
    """

    neighbours: int = 5
    regularization: float = 1e-4

    def __post_init__(self) -> None:
        regularization = validation.real("regularization", self.regularization, above=0)
        object.__setattr__(self, "neighbours", validation.whole("neighbours", self.neighbours))
        object.__setattr__(self, "regularization", regularization)

    def words(self, points: np.ndarray) -> Words:
        """The vocabulary as `assign` takes it."""
        return _words(points, 1.0)

    def assign(self, x: np.ndarray, words: Words, codes: np.ndarray) -> np.ndarray:
        """Write the codes (B, K) of descriptors (B, D); `pull` needs the neighbours."""
        np.matmul(x, words.slope.T, out=codes)
        index = _nearest(words, codes, self.neighbours)
        local_codes(x, words.points, index, self.regularization, codes)
        return index

    def pull(
        self,
        x: np.ndarray,
        words: Words,
        kept: np.ndarray,
        from_codes: np.ndarray,
        grad: np.ndarray,
    ) -> None:
        """Add the descriptors' cotangent that belongs to one of the codes."""
        pull_local_codes(x, words.points, kept, self.regularization, from_codes, grad)


Assignment: TypeAlias = HardAssignment | SoftAssignment | LLC
_BY_NAME: dict[str, type[Assignment]] = {"hard": HardAssignment, "soft": SoftAssignment, "llc": LLC}


def assignment(value: Any) -> Assignment:
    """An assignment, from its name or as it is."""
    if isinstance(value, Assignment):
        return value
    if isinstance(value, str) and value in _BY_NAME:
        return _BY_NAME[value]()
    raise ValueError(
        f"assignment must be 'hard', 'soft', 'llc' or an object such as "
        f"repinv.SoftAssignment(0.02); got {value!r}. Choose one of these."
    )


#: Regularization of the softest LLC. Nearly singular systems give codes that swing with x.
_SOFTEST = 0.1


#: Legs (share, softness) of an inversion: temperatures of ½, 0.1, 0.05, 0.02, 0.005.
ANNEALING = ((0.1, 1.0), (0.2, 0.2), (0.2, 0.1), (0.25, 0.04), (0.25, 0.01))


def softened(value: Assignment, softness: float, warm: float) -> Assignment | None:
    """A softer assignment, of temperature softness·warm; None where this one is as soft."""
    temperature, regularization = softness * warm, softness * _SOFTEST
    if isinstance(value, HardAssignment):
        return SoftAssignment(temperature)
    if isinstance(value, SoftAssignment) and value.temperature < temperature:
        return dataclasses.replace(value, temperature=temperature)
    if isinstance(value, LLC) and value.regularization < regularization:
        return dataclasses.replace(value, regularization=regularization)
    return None


def softened_encoder(encoder: Any, softness: float) -> Any:
    """An encoder with an `assignment` and a `local`, both softened where they are hard, or None."""
    s = validation.softness(softness)
    own = assignment(encoder.assignment)
    local, soft = encoder.local.softened(s), softened(own, s, encoder.warm)
    if local is None and soft is None:
        return None
    return dataclasses.replace(encoder, local=local or encoder.local, assignment=soft or own)


class Coder(Protocol):
    """What gives descriptors codes, and pulls cotangents of these back."""

    def assign(self, x: np.ndarray, words: Words, codes: np.ndarray, /) -> Any:
        """Write the codes (B, K) of descriptors (B, D), and return what `pull` needs."""

    def pull(
        self,
        x: np.ndarray,
        words: Words,
        kept: Any,
        from_codes: np.ndarray,
        grad: np.ndarray,
        /,
    ) -> None:
        """Add the descriptors' cotangent that belongs to one of the codes to `grad`."""


#: Numbers in a block of codes, which then stays in the processor's cache.
_BLOCK = 2**17

#: Blocks of codes: the descriptors' rows, their codes, and what `pull` needs.
Coded: TypeAlias = tuple[slice, np.ndarray, Any]


def coded(x: np.ndarray, coder: Coder, words: Words, memory: list[Coded] | None) -> Iterator[Coded]:
    """Codes of descriptors (F, D), block by block.

    An empty `memory` is filled, and read the next time; without one, blocks are found again and
    last until the next. Codes are not to be written to.
    """
    if memory:
        yield from memory
        return
    count, size = len(x), len(words.offset)
    step = max(16, _BLOCK // size)
    codes = np.empty((min(step, count) if memory is None else count, size), x.dtype)
    for first in range(0, count, step):
        rows = slice(first, min(first + step, count))
        block = codes[: rows.stop - first] if memory is None else codes[rows]
        kept = coder.assign(x[rows], words, block)
        if memory is not None:
            memory.append((rows, block, kept))
        yield rows, block, kept
