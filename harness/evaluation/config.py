"""What a run is: one frozen object, from options or a TOML file, hashed so that different configs never mix."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypedDict

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mtp_eval.harness.errors import InputError

Decode = Literal["auto", "autoregressive", "self-speculative"]
Isolation = Literal["full", "process"]
Acceptance = Literal["coupled", "rejection"]
NonNegative = Annotated[float, Field(ge=0.0)]

DOES_NOT_CHANGE_RESULTS = frozenset({"out", "workers", "data_dir", "verify_decoding"})
"""Options that may differ between a run and its resumption."""


class RunConfig(BaseModel):
    """The options of `mtp-eval run`; each is a command-line option and a key of the config file under the same name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: tuple[str, ...] = Field(min_length=1, description="model specs, see docs/cli.md")
    task: tuple[str, ...] = Field(min_length=1)
    n_samples: int = Field(default=1, ge=1, description="completions per problem")
    k: tuple[int, ...] = Field(default=(1,), min_length=1)
    temperature: tuple[NonNegative, ...] = Field(
        default=(0.0,), min_length=1, description="0 is greedy; several: a sweep"
    )
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    top_k: int = Field(default=0, ge=0, description="0 keeps every token")
    max_new_tokens: int | None = Field(default=None, ge=1, description="None leaves it to the task's protocol")
    seed: int = 0
    limit: int | None = Field(default=None, ge=1, description="the first problems only")
    decode: Decode = "auto"
    draft_heads: int | None = Field(default=None, ge=1)
    acceptance: Acceptance = Field(default="coupled", description="how drafts are judged when sampling")
    batch_size: int = Field(default=32, ge=1, description="rows decoded together at most")
    shard_size: int = Field(default=256, ge=1, description="completions generated per unit of resumption")
    device: str = "auto"
    dtype: str = "auto"
    timeout: float = Field(default=3.0, gt=0.0, description="seconds per program")
    memory_bytes: int = Field(default=1 << 30, ge=1 << 26)
    isolation: Isolation = "full"
    verify_decoding: int = Field(default=0, ge=0, description="completions to compare with plain decoding")
    workers: int | None = Field(default=None, ge=1)
    out: Path | None = None
    data_dir: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(k < 1 for k in self.k):
            raise ValueError(f"k must be 1 or more, got {list(self.k)}")
        if max(self.k) > self.n_samples:
            raise ValueError(
                f"pass@{max(self.k)} needs at least {max(self.k)} completions per problem, "
                f"got n_samples={self.n_samples}: raise --n-samples or lower --k"
            )
        if self.n_samples > 1 and 0.0 in self.temperature:
            raise ValueError(
                f"n_samples={self.n_samples} at temperature 0 would be {self.n_samples} equal completions: "
                f"give --temperature above 0, or --n-samples 1"
            )
        for name, values in (("model", self.model), ("task", self.task), ("temperature", self.temperature)):
            if len(set(values)) != len(values):
                raise ValueError(f"the same {name} is given twice: {', '.join(map(str, values))}")
        return self

    @field_validator("temperature", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, (int, float)) else value

    def result_relevant(self) -> dict[str, Any]:
        """The options that decide the numbers, as JSON-serialisable values."""
        options = self.model_dump(mode="json", exclude=set(DOES_NOT_CHANGE_RESULTS))
        if len(self.temperature) == 1:
            options["temperature"] = self.temperature[0]
        return options

    def pool_options(self) -> PoolOptions:
        """The options of the sandbox's pool."""
        return pool_options(self)


class PoolOptions(TypedDict):
    """What `run` and `score` both say about the sandbox."""

    workers: int | None
    timeout: float
    memory_bytes: int
    isolation: Isolation


def pool_options(config: Any) -> PoolOptions:
    """The sandbox's part of a config that has these four options."""
    return PoolOptions(
        workers=config.workers, timeout=config.timeout, memory_bytes=config.memory_bytes, isolation=config.isolation
    )


def run_config(options: Mapping[str, Any], config_file: Path | None = None) -> RunConfig:
    """Options over the config file over defaults; an option that is None was not given.

    Raises:
        InputError: an unknown key (with the nearest known one), or a value outside its range.
    """
    merged = read_toml(config_file, RunConfig.model_fields) if config_file else {}
    merged |= {name: value for name, value in options.items() if value is not None}
    try:
        return RunConfig.model_validate(merged)
    except ValidationError as error:
        raise InputError(validation_message(error)) from None


def read_toml(path: Path, known: Iterable[str]) -> dict[str, Any]:
    """A TOML file whose top-level keys must be known.

    Raises:
        InputError: no such file, not TOML, or an unknown key.
    """
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except FileNotFoundError:
        raise InputError(f"there is no config file {path}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML: {error}") from None
    for key in list(values):
        plain = key.replace("-", "_")
        if plain not in known:
            near = get_close_matches(plain, list(known), n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known keys: {', '.join(sorted(known))}"
            raise InputError(f"{path}: unknown key {key!r}{hint}")
        values[plain] = values.pop(key)
    return values


def validation_message(error: ValidationError) -> str:
    """One sentence a fault, with the option's name and what was given."""
    lines = []
    for fault in error.errors():
        option = "--" + str(fault["loc"][0]).replace("_", "-") + ": " if fault["loc"] else ""
        message = fault["msg"].removeprefix("Value error, ")
        given = f" (got {fault['input']!r})" if fault["loc"] else ""
        lines.append(f"{option}{message}{given}")
    return "; ".join(lines)
