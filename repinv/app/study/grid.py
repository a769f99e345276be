"""The grid of a study: its cells, and the jobs in them, with keys made of their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from repinv.app.images import channels_of
from repinv.app.study import task_options
from repinv.app.study.images import StudyImage
from repinv.app.study.spec import MAX_CELLS, Declaration, Entry, StudyError
from repinv.encoders import expressions
from repinv.encoders.base import Encoder
from repinv.search import validation
from repinv.search.feature_layout import image_shape

#: Version of what a result holds, part of every key: if it changes, all jobs are run anew.
FORMAT = 1
#: First version that finds the same images, up to rounding: what it and later ones did is kept.
#: A version that changes what an inversion finds puts its own number here.
RESULTS = "0.3.0.dev0"


class Job(NamedTuple):
    """One cell of the grid.

    `image` is None for tasks that take none, and `seed` for those without a random start.
    """

    key: str
    image: StudyImage | None
    encoder: Entry
    task: Entry
    prior: Entry
    solver: Entry
    seed: int | None

    def labels(self) -> dict[str, Any]:
        """The names of the cell on each axis."""
        return {
            "image": "" if self.image is None else self.image.name,
            "encoder": self.encoder.name,
            "task": self.task.name,
            "prior": self.prior.name,
            "solver": self.solver.name,
            "seed": self.seed,
        }

    def swept(self) -> dict[str, Any]:
        """The values of sweeps in this cell, by the path of the setting."""
        return {**self.task.swept, **self.prior.swept, **self.solver.swept}

    def settings(self) -> dict[str, Any]:
        """What a worker needs of the job, as JSON can hold it."""
        return {
            "key": self.key,
            "image": None if self.image is None else self.image.digest,
            "encoder": self.encoder.table["expression"],
            "task": self.task.table,
            "prior": self.prior.table,
            "solver": self.solver.table,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Plan:
    """The jobs of a study, each once.

    Attributes
    ----------
    declaration : Declaration
    images : tuple of StudyImage
    jobs : dict of str to Job
        By key, in the order of the grid.
    cells : int
        Of the grid; more than there are jobs where cells are equal.
    """

    declaration: Declaration
    images: tuple[StudyImage, ...]
    jobs: Mapping[str, Job] = field(repr=False)
    cells: int


def plan(declaration: Declaration, images: Sequence[StudyImage]) -> Plan:
    """The jobs of a study.

    Raises
    ------
    StudyError
        If the grid has more than `MAX_CELLS` cells, or none.
    """
    count = _count(declaration, len(images))
    if count > MAX_CELLS:
        what = f"{declaration.path}: the grid has {count} cells; at most {MAX_CELLS} are taken."
        raise StudyError([what])
    jobs: dict[str, Job] = {}
    for job in _cells(declaration, images):
        jobs.setdefault(job.key, job)
    if not jobs:
        raise StudyError([f"{declaration.path}: no image can be read, so there is nothing to do."])
    return Plan(declaration, tuple(images), jobs, count)


def _count(declaration: Declaration, images: int) -> int:
    """Cells of the grid."""
    others = len(declaration.encoders) * len(declaration.priors) * len(declaration.solvers)
    cells = 0
    for task in declaration.tasks:
        kind = task.table["kind"]
        n_images = 1 if kind == "maximize" else images
        n_seeds = 1 if kind == "caricature" else len(declaration.seeds)
        cells += others * n_images * n_seeds
    return cells


def _cells(declaration: Declaration, images: Sequence[StudyImage]) -> Iterator[Job]:
    """Every cell; those of one encoder and image stand together, so that workers keep both."""
    for task in declaration.tasks:
        kind = task.table["kind"]
        seen = (None,) if kind == "maximize" else images
        seeds: tuple[int | None, ...] = (None,) if kind == "caricature" else declaration.seeds
        for encoder in declaration.encoders:
            for prior in declaration.priors:
                for solver in declaration.solvers:
                    begun = _begun(encoder, task, prior, solver)
                    for image in seen:
                        for seed in seeds:
                            found = begun.copy()
                            found.update(f"{image and image.digest}/{seed}".encode())
                            key = found.hexdigest()[:32]
                            yield Job(key, image, encoder, task, prior, solver, seed)


def _begun(*entries: Entry) -> Any:
    """The hash of a cell, without its image and its seed."""
    tables = [entry.table for entry in entries]
    # Weights in files that an expression names are part of the encoder.
    held = expressions.files_in(entries[0].table["expression"])
    said = [FORMAT, RESULTS, *tables, held]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode())


def check(declaration: Declaration, images: Sequence[StudyImage]) -> dict[str, Encoder]:
    """Make every encoder, and check that images are large enough and options possible.

    Returns
    -------
    encoders : dict of str to Encoder
        By expression.

    Raises
    ------
    StudyError
        With all that is impossible, each with its key.
    """
    problems: list[str] = []
    encoders: dict[str, Encoder] = {}
    for entry in declaration.encoders:
        expression = entry.table["expression"]
        is_of_photograph = expressions.is_of_photograph(expression)
        try:
            # Keypoints are those of each image, and one stands in for them here.
            parse = expressions.with_points if is_of_photograph else expressions.parse
            encoder = parse(expression)
        except (ValueError, OSError) as error:
            problems.append(f"{entry.path}: {error}")
            continue
        encoders[expression] = encoder
        for task in declaration.tasks:
            if is_of_photograph and task.table["kind"] == "maximize":
                problems.append(
                    f"{task.path}: {task.name} of {entry.name}: {expression} is made of the "
                    "keypoints of an image, and maximize has none. Name keypoints by their file."
                )
                continue
            problems += _impossible(declaration, entry, encoder, task, images)
    if problems:
        raise StudyError([f"{declaration.path}: {what}" for what in dict.fromkeys(problems)])
    return encoders


def _impossible(
    declaration: Declaration,
    entry: Entry,
    encoder: Encoder,
    task: Entry,
    images: Sequence[StudyImage],
) -> list[str]:
    """What a task cannot do with an encoder, each with the key that is at fault."""
    kind, options = task.table["kind"], task_options.task_arguments(task.table)
    problems: list[str] = []
    if kind == "maximize":
        try:
            asked = image_shape(options["shape"], encoder)
            features = tuple(encoder.feature_shape(asked))
            validation.direction(options["component"], encoder, features)
        except (ValueError, TypeError) as error:
            problems.append(f"{task.path}: {task.name} of {entry.name}: {error}")
        return problems
    for shape in sorted({image.shape for image in images}):
        name = next(image.name for image in images if image.shape == shape)
        try:
            channels = channels_of(encoder, color=False) if len(shape) == 2 else 3
            size = (encoder.channels or channels, shape[0], shape[1])
            features = tuple(encoder.feature_shape(size))
        except (ValueError, TypeError) as error:
            problems.append(f"{entry.path}: {entry.name} of {name}: {error}")
            continue
        if "filter_group" in options or "neighbourhood" in options:
            chosen = options.get("filter_group"), options.get("neighbourhood")
            try:
                validation.check_choice(features, encoder, size, *chosen)
            except (ValueError, TypeError) as error:
                problems.append(f"{task.path}: {task.name} of {entry.name}: {error}")
    return problems
