"""Tables of a study file as arguments of a task: its options, its priors, its solver."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Self, get_type_hints

from pydantic import AfterValidator, Field, TypeAdapter, create_model, model_validator

import repinv
from repinv.app.study.checked_table import Table, by_kind, fits, made, one_of
from repinv.tasks.mahendran import mahendran

#: The tasks of the paper, by the name that a task's `kind` has.
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
#: Arguments of tasks that come from elsewhere in the file, or that a file cannot hold.
_ELSEWHERE = {
    "features", "encoder", "image", "priors", "solver", "parametrization", "seed", "initial",
    "polarity", "mask", "images", "transforms", "callback", "progress", "max_iter", "tol",
    "check_every", "time_limit",
}  # fmt: skip


def task_arguments(table: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a task from its table.

    Raises
    ------
    pydantic.ValidationError
        A ValueError, if the table names no task, or an option that the task does not have.

    Examples
    --------
    >>> task_arguments({"kind": "invert", "filter_group": "0:48", "n_preimages": 2})["filter_group"]
    slice(0, 48, None)
    """
    arguments: dict[str, Any] = TASK.validate_python(table)
    return arguments


def priors_of(table: Mapping[str, Any]) -> tuple[repinv.Weighted, ...] | None:
    """The priors that a table names; None, which stands for the task's own, where it names none.

    Raises
    ------
    pydantic.ValidationError
        A ValueError, if there is no such prior or no such option of one.

    Examples
    --------
    >>> priors_of({"total_variation": {"weight": 0.1, "beta": 1.0}})[0].prior.beta
    1.0
    """
    found = PRIOR.validate_python(table)
    return tuple(getattr(found, name) for name in table) or None


def solver_arguments(table: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """Keyword arguments of a task from a solver's table.

    Parameters
    ----------
    table : mapping
        Keys of `Solver`.
    shape : tuple of int
        Of the image, which the step of the authors' method depends on.

    Raises
    ------
    pydantic.ValidationError
        A ValueError, if there is no such key, or a value is impossible.
    """
    found: dict[str, Any] = SOLVER.validate_python(table).given()
    if "rule" in found:
        found["solver"] = found.pop("rule")
    if found.pop("method", None) is not None:
        authors = mahendran((shape[0], shape[1]), found.get("max_iter", 800))
        del authors["shape"]
        found = authors | found
    return found


# Tasks.


def _as_group(value: Any) -> slice | tuple[int, ...]:
    """Channels that '0:48' or [0, 5, 7] names."""
    if isinstance(value, str):
        ends = value.split(":")
        if len(ends) == 2 and all(end.strip().isdecimal() for end in ends):
            return slice(int(ends[0]), int(ends[1]))
    elif isinstance(value, list) and value and all(type(n) is int for n in value):
        return tuple(value)
    raise ValueError(
        f"expected a range such as '0:48' or numbers such as [0, 5, 7]; got {value!r}."
    )


def _task(kind: str) -> Any:
    """The table of a task, which becomes the keyword arguments that it gives."""
    hints = get_type_hints(TASKS[kind])
    parameters = dict(inspect.signature(TASKS[kind]).parameters)
    if kind == "invert":
        del parameters["shape"]  # the image has one
    fields: dict[str, Any] = {"kind": (str, kind)}
    for name in (name for name in parameters if name not in _ELSEWHERE):
        is_group = name == "filter_group"
        annotation = Annotated[Any, AfterValidator(_as_group)] if is_group else fits(hints[name])
        # A component in a study is a number, which does not tell the size of its image.
        needed = parameters[name].default is inspect.Parameter.empty or name == "shape"
        fields[name] = (annotation, Field(... if needed else None, description=f"a {name}"))
    model = create_model(kind, __base__=Table, **fields)
    return Annotated[model, AfterValidator(lambda table: table.given())]


# Priors.


def _prior(name: str, cls: type) -> Any:
    """The table of a prior, which becomes the prior with its weight."""

    def weighted(table: Any) -> repinv.Weighted:
        options = table.given()
        return repinv.Weighted(name, float(options.pop("weight")), cls(**options))

    description = f"a weight of 0 or more, as in {name} = {{weight = 0.01}}"
    weight = (float, Field(ge=0, allow_inf_nan=False, description=description))
    return made(name, cls, weighted, weight=weight)


class _Priors(Table, title="repinv"):
    key: ClassVar[str] = "prior"


def _priors() -> Any:
    """The table of all priors of an entry."""
    fields: dict[str, Any] = {name: (_prior(name, cls), None) for name, cls in PRIORS.items()}
    return create_model("priors", __base__=_Priors, **fields)


# Solvers.


class _Solver(Table, title="a solver"):
    """A rule and a parametrization, or a method that decides both; and the limits of a run."""

    @model_validator(mode="after")
    def _check_method(self) -> Self:
        if (
            "method" in self.model_fields_set
            and {"rule", "parametrization"} & self.model_fields_set
        ):
            raise ValueError("a method has its own rule and parametrization. Leave them out.")
        return self


def _solver() -> Any:
    """The table of a solver."""
    rules = {name: made(name, cls, kind=(str, name)) for name, cls in RULES.items()}
    spaces = {name: made(name, cls, kind=(str, name)) for name, cls in PARAMETRIZATIONS.items()}
    fields: dict[str, Any] = {
        "max_iter": (int, Field(None, ge=1, description="a whole number >= 1")),
        "tol": (float, Field(None, ge=0, description="a number >= 0")),
        "check_every": (int, Field(None, ge=1, description="a whole number >= 1")),
        "time_limit": (float, Field(None, gt=0, description="a number of seconds > 0")),
        "rule": (Annotated[Any, by_kind("rule", rules)], None),
        "parametrization": (Annotated[Any, by_kind("parametrization", spaces)], None),
        "method": (Annotated[Any, one_of("method", ["mahendran"])], None),
    }
    return create_model("solver", __base__=_Solver, **fields)


#: Checks of the tables of tasks, priors and solvers, and what these tables become.
TASK = TypeAdapter[Any](
    Annotated[Any, by_kind("kind of task", {name: _task(name) for name in TASKS}, "invert")]
)
PRIOR = TypeAdapter[Any](_priors())
SOLVER = TypeAdapter[Any](_solver())
