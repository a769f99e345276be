"""Tables of a study file as priors, solvers and options of tasks: checked, and made where used."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_type_hints

import repinv
from repinv.encoders import expressions
from repinv.tasks.mahendran import mahendran

#: The paper's questions, by the name that a task's `kind` has.
TASKS: dict[str, Callable[..., repinv.Result]] = {
    "invert": repinv.invert,
    "maximize": repinv.maximize,
    "caricature": repinv.caricature,
}
PRIORS = {
    "total_variation": repinv.TotalVariation,
    "alpha_norm": repinv.AlphaNorm,
    "range": repinv.IntensityRange,
    "contrast": repinv.NaturalContrast,
}
RULES = {
    "lbfgs": repinv.LBFGS,
    "momentum": repinv.Momentum,
    "adagrad": repinv.AdaGrad,
    "adam": repinv.Adam,
}
PARAMETRIZATIONS = {
    "spectral": repinv.Spectral,
    "pixels": repinv.Pixels,
    "fourier": repinv.Fourier,
}
#: What a solver's table may say of a run, beside its rule and its parametrization.
RUN = ("max_iter", "tol", "check_every", "time_limit")
#: Arguments of tasks that come from elsewhere in the file, or make no sense there.
_ELSEWHERE = {
    "features", "encoder", "image", "priors", "solver", "parametrization", "seed", "initial",
    "mask", "images", "callback", "progress", *RUN,
}  # fmt: skip


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the most similar names, or all of them."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"Did you mean {near[0]}?" if near else f"There are {', '.join(names)}."


def task_options(kind: str) -> dict[str, Any]:
    """Names and type hints of what a task's table may hold."""
    function = TASKS[kind]
    hints = get_type_hints(function)
    names = [n for n in inspect.signature(function).parameters if n not in _ELSEWHERE]
    if kind == "invert":
        names.remove("shape")  # the image has one
    return {name: hints[name] for name in names}


def check_task(table: Mapping[str, Any]) -> None:
    """Raise ValueError unless a table, with its kind, names a task and options of it."""
    kind = table.get("kind", "invert")
    if kind not in TASKS:
        raise ValueError(f"there is no kind of task {kind!r}. {nearest(str(kind), TASKS)}")
    known = task_options(kind)
    for name, value in table.items():
        if name == "kind":
            continue
        if name not in known:
            raise ValueError(f"{kind} has no option {name!r}. {nearest(name, known)}")
        if name == "filter_group":
            as_group(value)
        elif not expressions.is_of_kind(_frozen(value), known[name]):
            raise ValueError(
                f"{kind} expects {name} to be {expressions.in_words(known[name])}; got {value!r}."
            )
    if kind == "maximize":
        for name in ("component", "shape"):
            if name not in table:
                raise ValueError(f"maximize needs a {name}.")


def task_arguments(table: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a task from its checked table."""
    found = {name: _frozen(value) for name, value in table.items() if name != "kind"}
    if "filter_group" in found:
        found["filter_group"] = as_group(table["filter_group"])
    return found


def as_group(value: Any) -> slice | tuple[int, ...]:
    """Channels that '0:48' or [0, 5, 7] names.

    Examples
    --------
    >>> as_group("0:48"), as_group([0, 5, 7])
    (slice(0, 48, None), (0, 5, 7))
    """
    if isinstance(value, str):
        ends = value.split(":")
        if len(ends) == 2 and all(end.strip().isdigit() for end in ends):
            return slice(int(ends[0]), int(ends[1]))
    elif isinstance(value, list) and value and all(type(n) is int for n in value):
        return tuple(value)
    raise ValueError(
        f"filter_group must be a range such as '0:48' or numbers such as [0, 5, 7]; got {value!r}."
    )


def priors_of(table: Mapping[str, Any]) -> tuple[repinv.Weighted, ...] | None:
    """The priors that a table names; None, the task's own, where it names none.

    Raises
    ------
    ValueError
        If there is no such prior or no such option of one.

    Examples
    --------
    >>> priors_of({"total_variation": {"weight": 0.1, "beta": 1.0}})[0].prior.beta
    1.0
    """
    terms = []
    for name, options in table.items():
        if name not in PRIORS:
            raise ValueError(f"there is no prior {name!r}. {nearest(name, PRIORS)}")
        if not isinstance(options, Mapping) or "weight" not in options:
            raise ValueError(f"{name} needs a weight, as in {name} = {{weight = 0.01}}.")
        weight = options["weight"]
        if not _is_number(weight) or not (0 <= weight < math.inf):
            raise ValueError(f"{name} expects a weight of 0 or more; got {weight!r}.")
        rest = {key: value for key, value in options.items() if key != "weight"}
        terms.append(repinv.Weighted(name, float(weight), _made(name, PRIORS[name], rest)))
    return tuple(terms) or None


def solver_arguments(table: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """Keyword arguments of a task from a solver's table.

    Parameters
    ----------
    table : mapping
        `rule` and `parametrization`, a name or a table with `kind` and options of it; or
        `method = "mahendran"`, the method of the paper's authors; and `RUN`.
    shape : tuple of int
        Of the image, which the authors' step depends on.

    Raises
    ------
    ValueError
        If there is no such key, or a value is impossible.
    """
    known = (*RUN, "rule", "parametrization", "method")
    found: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            raise ValueError(f"a solver has no {name!r}. {nearest(name, known)}")
        if name in RUN:
            found[name] = _run_option(name, value)
        elif name == "rule":
            found["solver"] = _named("rule", value, RULES)
        elif name == "parametrization":
            found[name] = _named(name, value, PARAMETRIZATIONS)
        elif value != "mahendran":
            raise ValueError(f"there is no method {value!r}. There is mahendran.")
    if "method" in table:
        if {"rule", "parametrization"} & set(table):
            raise ValueError("a method has its own rule and parametrization. Leave them out.")
        authors = mahendran((shape[0], shape[1]), found.get("max_iter", 800))
        del authors["shape"]
        found = authors | found
    return found


def _run_option(name: str, value: Any) -> Any:
    """A checked number of a run."""
    if name in ("max_iter", "check_every"):
        if type(value) is not int or value < 1:
            raise ValueError(f"{name} must be a whole number >= 1; got {value!r}.")
        return value
    if not _is_number(value) or value < 0 or (name == "time_limit" and value == 0):
        raise ValueError(f"{name} must be a number > 0; got {value!r}.")
    return float(value)


def _named(what: str, value: Any, known: Mapping[str, type]) -> Any:
    """A rule or a parametrization: a name, or a table with its kind and options."""
    table = {"kind": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping) or table.get("kind") not in known:
        got = table.get("kind") if isinstance(table, Mapping) else value
        raise ValueError(f"there is no {what} {got!r}. {nearest(str(got), known)}")
    rest = {key: option for key, option in table.items() if key != "kind"}
    return _made(table["kind"], known[table["kind"]], rest)


def _made(name: str, cls: type, options: Mapping[str, Any]) -> Any:
    """A frozen dataclass from options whose names and kinds are checked."""
    hints = get_type_hints(cls)
    known = [f.name for f in dataclasses.fields(cls) if f.init]
    for key, value in options.items():
        if key not in known:
            raise ValueError(f"{name} has no option {key!r}. {nearest(key, known)}")
        if not expressions.is_of_kind(_frozen(value), hints[key]):
            raise ValueError(
                f"{name} expects {key} to be {expressions.in_words(hints[key])}; got {value!r}."
            )
    return cls(**{key: _frozen(value) for key, value in options.items()})


def _frozen(value: Any) -> Any:
    """A value with its lists made tuples, as frozen dataclasses hold them."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    """Whether a value is a number; TOML's true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
