"""The options of a speed measurement, and which of its numbers may stand side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from mtp_eval.harness.config import Config, Counts, Names, Temperatures, Texts


class SpeedConfig(Config):
    """The options of `mtp-eval speed`; every list is crossed with every other."""

    GROUP: ClassVar[str] = "What to measure"

    model: Texts = Field(
        min_length=1,
        description="Checkpoint folder of train or convert; repeat to compare.",
        json_schema_extra={"metavar": "FOLDER"},
    )
    domain: Names = Field(
        default=("code", "prose"),
        min_length=1,
        description="Text that prompts are cut from: code, prose (both held out by train), listops.",
        json_schema_extra={"metavar": "NAME,NAME,..."},
    )
    prompt_tokens: Counts = Field(
        default=(128,),
        min_length=1,
        description="Lengths of prompts; listops' have their own.",
        json_schema_extra={"metavar": "N,N,..."},
    )
    batch_size: Counts = Field(
        default=(1, 8),
        min_length=1,
        description="Completions decoded together.",
        json_schema_extra={"metavar": "N,N,..."},
    )
    heads: Counts = Field(
        default=(),
        description="Heads used when decoding, head 1 included; 1 is plain decoding, which is always measured.",
        json_schema_extra={"metavar": "K,K,...", "default": "each of up to 4, then every doubling, and all"},
    )
    temperature: Temperatures = Field(
        default=(0.0, 0.8), min_length=1, description="0 is greedy.", json_schema_extra={"metavar": "T,T,..."}
    )
    top_p: float = Field(default=1.0, gt=0.0, le=1.0, description="Nucleus sampling; 1 keeps every token.")
    new_tokens: int = Field(default=128, ge=2, description="Tokens per completion, unless a text ends before.")
    prompts: int = Field(default=16, ge=1, description="Prompts of each kind, or one for each row of a larger batch.")
    seed: int = Field(default=0, ge=0, description="Seed of sampling.")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps.")
    dtype: str = Field(default="auto", description="auto, float32, bfloat16 or float64.")
    out: Path = Field(
        default=Path("speed"),
        description="Folder of speed.json, the table and the plot; what it holds is not repeated.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("model", "domain", "prompt_tokens", "batch_size", "heads", "temperature"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"the same {name} is given twice: {', '.join(map(str, values))}")
        return self

    @property
    def common(self) -> dict[str, Any]:
        """The options that all numbers of one folder share."""
        return self.model_dump(mode="json", include={"top_p", "new_tokens", "prompts", "seed"})
