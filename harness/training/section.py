"""What every section of a training config is: frozen, without keys that nobody knows, and with "none" as a word."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A part of a config; a typo in a key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _none_is_a_choice(cls, values: Any) -> Any:
        """`--set freeze=none` arrives as no value; where "none" is one of the choices it is meant."""
        if not isinstance(values, dict):
            return values
        choices = {name for name, field in cls.model_fields.items() if "none" in get_args(field.annotation)}
        return {key: "none" if value is None and key in choices else value for key, value in values.items()}
