"""Tables of a study file as models whose errors are sentences, each with its key."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Self, TypeAlias, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    create_model,
    model_validator,
)
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from repinv._core.suggestions import did_you_mean
from repinv.encoders import option_kinds

#: Keys, and positions in arrays, from the top of the file.
Path: TypeAlias = tuple[str | int, ...]
#: The path of a fault, and a sentence that describes it.
Fault: TypeAlias = tuple[Path, str]
#: Types of errors whose sentence is complete: those that validators of ours raise.
_SAID = ("fault", "value_error")


class Table(BaseModel):
    """A table of a study file.

    The description of a field is part of its errors: "expected `description`; got 3".
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    #: What errors call a key of the table.
    key: ClassVar[str] = "option"

    @model_validator(mode="wrap")
    @classmethod
    def _in_sentences(cls, table: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validate(table)
        except ValidationError as error:
            raise refused(cls._fault(one, table) for one in error.errors()) from None

    @classmethod
    def _fault(cls, error: ErrorDetails, table: Any) -> Fault:
        """An error of pydantic as a sentence about this table."""
        path, kind = error["loc"], error["type"]
        title = cls.model_config.get("title") or cls.__name__
        if kind in _SAID:
            return path, _sentence(error)
        if kind in ("model_type", "dict_type"):
            return path, f"expected a table; got {error['input']!r}."
        field = str(path[0])
        if kind == "extra_forbidden":
            near = did_you_mean(field, cls.model_fields)
            return path, f"{title} has no {cls.key} {field!r}. {near}"
        expected = cls.model_fields[field].description
        if kind == "missing":
            return path[:-1], f"{title} needs {expected}."
        return path[:1], f"expected {expected}; got {table[field]!r}."

    def given(self) -> dict[str, Any]:
        """The options that are set in the file, without the kind of the table."""
        named = [name for name in type(self).model_fields if name in self.model_fields_set]
        return {name: getattr(self, name) for name in named if name != "kind"}


def refused(faults: Iterable[Fault]) -> ValidationError:
    """An error that a validator raises for several faults below it, each once."""
    details = [
        InitErrorDetails(type=PydanticCustomError("fault", what), loc=path, input=None)
        for path, what in dict.fromkeys(faults)
    ]
    return ValidationError.from_exception_data("study", details)


def faults_of(error: ValidationError) -> list[Fault]:
    """The faults in an error, in the order of the models' fields."""
    found = []
    for one in error.errors():
        # pydantic adds this to the path of a key that is wrong itself.
        path = one["loc"][:-1] if one["loc"][-1:] == ("[key]",) else one["loc"]
        found.append((path, _sentence(one)))
    return found


def spelled(path: Path) -> str:
    """A path as TOML writes it.

    Examples
    --------
    >>> spelled(("figures", 0, "where")), spelled(("encoders", "my hog"))
    ('figures[0].where', 'encoders."my hog"')
    """
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", key)
            text += f".{key}" if bare else f".{json.dumps(key)}"
    return text.removeprefix(".")


# Kinds of fields.


def check_known(what: str, name: str, known: Collection[str]) -> str:
    """A name, if it is one of those known."""
    if name not in known:
        raise ValueError(f"there is no {what} {name!r}. {did_you_mean(name, known)}")
    return name


def one_of(what: str, known: Collection[str]) -> AfterValidator:
    """A name that has to be one of those known."""
    return AfterValidator(lambda name: check_known(what, name, known))


def fits(hint: Any) -> Any:
    """A plain value that fits a type hint, as in encoder expressions; lists become tuples."""

    def check(value: Any) -> Any:
        frozen = _frozen(value)
        if not option_kinds.is_of_kind(frozen, hint):
            raise ValueError(f"expected {option_kinds.in_words(hint)}; got {value!r}.")
        return frozen

    return Annotated[Any, AfterValidator(check)]


def made(name: str, cls: type, make: Callable[[Any], Any] | None = None, **fields: Any) -> Any:
    """A table of the options of a frozen dataclass, which becomes one.

    Parameters
    ----------
    name : str
        What messages call the table.
    cls : type
    make : callable, optional
        What the table becomes instead, from its model.
    **fields
        Annotations and defaults of more keys.
    """
    hints = get_type_hints(cls)
    for option in dataclasses.fields(cls):
        if option.init:
            fields[option.name] = (fits(hints[option.name]), None)
    model = create_model(name, __base__=Table, **fields)
    return Annotated[model, AfterValidator(make or (lambda table: cls(**table.given())))]


def by_kind(what: str, known: Mapping[str, Any], default: str | None = None) -> PlainValidator:
    """A table whose `kind` decides its other keys; or that kind alone, as a name."""
    adapters = {name: TypeAdapter(annotation) for name, annotation in known.items()}

    def check(value: Any, info: ValidationInfo) -> Any:
        table = {"kind": value} if isinstance(value, str) else value
        if not isinstance(table, dict):
            raise ValueError(f"expected a table; got {value!r}.")
        kind = table.get("kind", default)
        if kind is None:
            raise ValueError(f"a {what} needs a kind. {did_you_mean('', known)}")
        if not isinstance(kind, str) or kind not in adapters:
            sentence = f"there is no {what} {kind!r}. {did_you_mean(str(kind), known)}"
            raise refused([(("kind",) if "kind" in table and table is value else (), sentence)])
        return adapters[kind].validate_python(table, context=info.context)

    return PlainValidator(check)


def _sentence(error: ErrorDetails) -> str:
    """The message of an error, without pydantic's prefix."""
    return str(error["ctx"]["error"]) if error["type"] == "value_error" else error["msg"]


def _frozen(value: Any) -> Any:
    """A value with its lists made tuples, as frozen dataclasses hold them."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
