"""Read a `TrainConfig` from a preset, a TOML file and `--set section.key=value` overrides."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.training.choice.options import AUTO
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.first_weights import shape_of_checkpoint
from mtp_eval.harness.training.presets import preset_values


def make_config(values: Mapping[str, Any], overrides: Sequence[str] = (), *, origin: str = "config") -> TrainConfig:
    """A config from nested values and `--set section.key=value` overrides.

    Raises:
        InputError: a key that does not exist, a value outside its range, or an override that is none.
    """
    merged = _copy(values)
    if {"steps", "tokens"} <= {override.partition("=")[0].strip() for override in overrides}:
        raise InputError("--set gives both steps and tokens: a run has one budget, so give one of them")
    for override in overrides:
        key, found, text = override.partition("=")
        if not found:
            raise InputError(f"--set takes key=value, such as --set optimizer.learning_rate=1e-3; got {override!r}")
        _assign(merged, key.strip(), _parse(text.strip()))
    if isinstance(merged.get("init"), str):
        _follow_checkpoint(merged)
    try:
        return TrainConfig.model_validate(merged)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'config'}: {item['msg']}" for item in error.errors()
        )
        raise InputError(
            f"{origin} is no valid training config: {problems}. docs/training.md lists every key"
        ) from None


def _follow_checkpoint(values: dict[str, Any]) -> None:
    """With `init` the shape and the tokenizer are the checkpoint's; n_future and a shorter context are the config's."""
    asked = values.get("model", {})
    if asked.get("n_future") == AUTO:
        return  # which is refused, with the reason, where the whole config is checked
    shape = shape_of_checkpoint(values["init"], asked.get("n_future")).model_dump()
    shape["context_length"] = min(shape["context_length"], asked.get("context_length", shape["context_length"]))
    values["model"] = shape
    values.setdefault("data", {})["tokenizer"] = "init"


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """A config from a TOML file. A key `preset` names the preset that the file changes.

    Raises:
        InputError: the file cannot be read, or is no valid training config.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read the training config {path}: {error}") from None
    base = values.pop("preset", None)
    if base is not None:
        values = _merge(_copy(preset_values(base)), values)
    return make_config(values, overrides, origin=str(path))


def preset(name: str, overrides: Sequence[str] = ()) -> TrainConfig:
    """A preset as a config.

    Raises:
        InputError: there is no such preset, or an override cannot be used.
    """
    return make_config(preset_values(name), overrides, origin=f"preset {name}")


def named_config(name: str, overrides: Sequence[str] = ()) -> TrainConfig:
    """The config that a user names: a TOML file, or else a preset.

    Raises:
        InputError: there is no such file or preset, or it is no valid training config.
    """
    return read_config(name, overrides) if name.endswith(".toml") else preset(name, overrides)


def _parse(text: str) -> Any:
    """A TOML value where it is one, else the text itself, so that quotes are optional."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return None if text in ("none", "null") else text


def _assign(values: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, key = dotted.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise InputError(f"--set {dotted}: {section} is a value, not a section")
    values[key] = value
    if not sections and key in ("steps", "tokens"):  # the other budget gives way
        values.pop({"steps": "tokens", "tokens": "steps"}[key], None)


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in values.items()}


def _merge(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            _assign(base, key, value)
    return base
