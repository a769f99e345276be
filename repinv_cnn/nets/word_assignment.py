"""Descriptors → their codes over a vocabulary, in layers of torch."""

from __future__ import annotations

import numpy as np
import torch


class Words(torch.nn.Module):
    """A vocabulary; what the layers of codes have in common.

    Parameters
    ----------
    vocabulary : ndarray, shape (K, D)
    """

    vocabulary: torch.Tensor

    def __init__(self, vocabulary: np.ndarray) -> None:
        super().__init__()
        words = torch.tensor(vocabulary, dtype=torch.float64)
        self.register_buffer("vocabulary", words, persistent=False)

    def similarity(self, x: torch.Tensor) -> torch.Tensor:
        """2⟨x, c⟩ − |c|² of descriptors (N, F, D): −|x − c|² but for what no word distinguishes."""
        words = self.vocabulary.to(x.dtype)
        return 2 * x @ words.T - words.square().sum(dim=1)

    def nearest(self, x: torch.Tensor, count: int) -> torch.Tensor:
        """Indices (N, F, count) of the nearest words; of equally near ones the first."""
        similarity = self.similarity(x.detach())
        if count == 1:
            return similarity.argmax(dim=-1, keepdim=True)
        # A sort keeps the order of equals, which the choice of the largest few does not.
        order = similarity.argsort(dim=-1, descending=True, stable=True)
        return order[..., :count]


class HardCodes(Words):
    """One for the nearest word, zero for the others; passes nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Descriptors (N, F, D) → codes (N, F, K)."""
        codes = x.new_zeros(*x.shape[:-1], len(self.vocabulary))
        codes = codes.scatter(-1, self.nearest(x, 1), 1.0)
        return codes + 0 * x.sum(dim=-1, keepdim=True)


class SoftCodes(Words):
    """softmax(−|x − c|²/temperature), over all words or a descriptor's nearest.

    Parameters
    ----------
    vocabulary : ndarray, shape (K, D)
    temperature : float
    neighbours : int or None
    """

    def __init__(self, vocabulary: np.ndarray, temperature: float, neighbours: int | None) -> None:
        super().__init__(vocabulary)
        self.temperature, self.neighbours = temperature, neighbours

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Descriptors (N, F, D) → codes (N, F, K)."""
        logits = self.similarity(x) / self.temperature
        if self.neighbours is None:
            return logits.softmax(dim=-1)
        index = self.nearest(x, self.neighbours)
        codes = logits.gather(-1, index).softmax(dim=-1)
        return torch.zeros_like(logits).scatter(-1, index, codes)


class LocalCodes(Words):
    """Locality-constrained codes: weights a/Σa of the nearest words with C a = 1.

    C is the covariance of these words about the descriptor, with `regularization` times its trace
    and 1e-10 on the diagonal, solved in float64 since it is all but singular.

    Parameters
    ----------
    vocabulary : ndarray, shape (K, D)
    neighbours : int
    regularization : float
    """

    def __init__(self, vocabulary: np.ndarray, neighbours: int, regularization: float) -> None:
        super().__init__(vocabulary)
        self.neighbours, self.regularization = neighbours, regularization

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Descriptors (N, F, D) → codes (N, F, K)."""
        index = self.nearest(x, self.neighbours)
        words = self.vocabulary.to(x.dtype).double()
        about = words[index] - x.double()[..., None, :]
        covariance = about @ about.mT
        trace = covariance.diagonal(dim1=-2, dim2=-1).sum(dim=-1)[..., None, None]
        eye = torch.eye(index.shape[-1], dtype=torch.float64, device=x.device)
        covariance = covariance + (self.regularization * trace + 1e-10) * eye
        a = torch.linalg.solve(covariance, torch.ones_like(covariance[..., 0]))
        codes = (a / a.sum(dim=-1, keepdim=True)).to(x.dtype)
        empty = x.new_zeros(*x.shape[:-1], len(words))
        return empty.scatter(-1, index, codes)
