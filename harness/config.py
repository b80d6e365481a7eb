"""Config classes: options, TOML files and Python arguments become one frozen object; a wrong value is an error that names it.

A field of a config class is the only place where an option's name, default, range and help stand:

    class RunConfig(Config):
        seed: int = Field(default=0, description="Seed of every random draw.")

`mtp-eval run --seed 1`, `seed = 1` in run.toml and `RunConfig(seed=1)` all go through it.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.errors import did_you_mean


class Config(BaseModel):
    """Base of the config classes: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    GROUP: ClassVar[str] = "Options"
    """Heading in --help of the options that this class adds."""

    @classmethod
    def given(cls, options: Mapping[str, Any], file: Path | None = None) -> Self:
        """The config of some options: they win over a TOML file, which wins over the defaults; None is an option not given.

        Raises:
            InputError: an unknown key (with the nearest known one), or a value outside its range.
        """
        options = {name: value for name, value in options.items() if value is not None}
        return checked(cls, (read_toml(file, cls) if file else {}) | options, file, frozenset(options))


ConfigClass = TypeVar("ConfigClass", bound=BaseModel)
Given = TypeVar("Given", bound=Config)


def given_config(cls: type[Given], config: Given | None, options: Mapping[str, Any]) -> Given:
    """The config of a Python call: an object of the class, or its fields as keywords.

    Raises:
        InputError: both, or wrong values.
    """
    if config is None:
        return cls.given(options)
    if options:
        raise InputError(f"give a {cls.__name__} or its fields, not both; got also {', '.join(options)}")
    return config


def checked(
    cls: type[ConfigClass], values: Mapping[str, Any], file: Path | None = None, options: frozenset[str] = frozenset()
) -> ConfigClass:
    """An object of the class.

    Raises:
        InputError: wrong values, each under the name that the user gave it: an option's, or a key's in the file.
    """
    try:
        return cls.model_validate(dict(values))
    except ValidationError as error:
        raise InputError(validation_message(error, cls, file, options)) from None


def read_toml(path: Path, cls: type[BaseModel]) -> dict[str, Any]:
    """A TOML file whose top-level keys are fields of the class; `n-samples` is `n_samples`.

    Raises:
        InputError: no such file, not TOML, or an unknown key.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no config file {path}") from None
    except OSError as error:
        raise InputError(f"the config file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"the config file {path} is not UTF-8: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML: {error}") from None
    for key in list(values):
        plain = key.replace("-", "_")
        if plain not in cls.model_fields:
            raise InputError(f"{path}: unknown key {key!r}: {did_you_mean(plain, sorted(cls.model_fields))}")
        values[plain] = values.pop(key)
    return values


def validation_message(
    error: ValidationError,
    cls: type[BaseModel],
    file: Path | None = None,
    options: frozenset[str] = frozenset(),
) -> str:
    """One sentence a field: where the value stands, what is wrong, what was given, what belongs there."""
    first_of_field = {fault["loc"][:1]: dict(fault) for fault in reversed(error.errors())}
    return "; ".join(_fault(fault, cls, file, options) for fault in reversed(first_of_field.values()))


def _fault(fault: dict[str, Any], cls: type[BaseModel], file: Path | None, options: frozenset[str]) -> str:
    message = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if not fault["loc"]:
        return message
    name = str(fault["loc"][0])
    option = "--" + name.replace("_", "-")
    field = cls.model_fields.get(name)
    meaning = f" ({field.description.rstrip('.')})" if field and field.description else ""
    if fault["type"] == "missing":
        return f"{option} is missing{meaning}" + (f"; give it here or as {name} in {file}" if file else "")
    if fault["type"] == "too_short":
        message = "at least one value is needed"
    where = f"{file}: {name}" if file and name not in options else option
    return f"{where}: {message[0].lower()}{message[1:]}, got {fault['input']!r}{meaning}"


def split_commas(value: Any) -> Any:
    """A tuple of one value or several, given as "1,10", ["1", "10"], 1 or (1, 10)."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple):
        return tuple(part for item in value for part in (split_commas(item) if isinstance(item, str) else (item,)))
    return (value,)


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str | Path) else value


def _existing_folder(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError("there is no such folder")
    return path


def _limit(value: Any) -> Any:
    """A whole number stays one, whichever way it was written."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return int(number) if number >= 1 and number.is_integer() else number


def _share_or_count(value: float) -> float:
    if not math.isfinite(value) or value <= 0 or (value > 1 and value != int(value)):
        raise ValueError("expected a number of problems such as 20, or a share between 0 and 1 such as 0.1")
    return value


Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_several)]
"""One text or several, each as it is: model specs may hold commas."""
Names = Annotated[tuple[str, ...], BeforeValidator(split_commas)]
"""Names, also with commas between them."""
Paths = Annotated[tuple[Path, ...], BeforeValidator(_several)]
"""One path or several."""
Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(split_commas)]
"""Whole numbers of 1 and more."""
Temperatures = Annotated[
    tuple[Annotated[float, Field(ge=0.0, allow_inf_nan=False)], ...], BeforeValidator(split_commas)
]
"""Numbers of 0 and more."""
Folder = Annotated[Path, AfterValidator(_existing_folder)]
"""A folder that is there."""
Limit = Annotated[int | float, BeforeValidator(_limit), AfterValidator(_share_or_count)]
"""So many items, or a share of them."""
