"""What a study file declares, and the error that names all its faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Cells that one study may have; more is taken for a mistake.
MAX_CELLS = 10_000_000
#: Axes of the grid, by the names that figures use.
AXES = ("image", "encoder", "task", "prior", "solver", "seed")
MEASURES = ("error", "pairwise_error", "ncc", "ssim", "psnr", "response", "seconds")


class StudyError(ValueError):
    """A study file that cannot be run: `problems` are its faults, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Entry:
    """One entry of an axis: an encoder, a task, a prior or a solver.

    Attributes
    ----------
    name : str
        With the values that it has in a sweep: 'tv weight=0.1'.
    table : dict
        Its settings, as JSON can hold them; of an encoder, its expression.
    swept : dict
        Values of a sweep by the path of the setting: 'total_variation.weight'.
    path : str
        The key that declares it: 'priors.tv'.
    """

    name: str
    table: Mapping[str, Any]
    swept: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""


@dataclass(frozen=True)
class Declaration:
    """The content of a study file.

    Attributes
    ----------
    path : Path
        Image files are relative to its folder.
    text : str
        Of the file.
    name, title, description : str
    skips_unreadable : bool
        Whether images that cannot be read are left out, or are an error.
    files : tuple of str
        Names or patterns of images.
    size : (int, int) or None
        Height and width that images are brought to.
    color : bool
    encoders, tasks, priors, solvers : tuple of Entry
    seeds : tuple of int
    figures : tuple of dict
    """

    path: Path
    text: str
    name: str
    title: str
    description: str
    skips_unreadable: bool
    files: tuple[str, ...]
    size: tuple[int, int] | None
    color: bool
    encoders: tuple[Entry, ...]
    tasks: tuple[Entry, ...]
    priors: tuple[Entry, ...]
    solvers: tuple[Entry, ...]
    seeds: tuple[int, ...]
    figures: tuple[Mapping[str, Any], ...]
