"""Options of a study: one frozen object, of which those that decide the plan are stored with it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from mtp_eval.harness.config import Config, Names
from mtp_eval.harness.studies.definition import LEAST_SEEDS


class StudyConfig(Config):
    """The options of `mtp-eval study`."""

    GROUP: ClassVar[str] = "Study"

    budget: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Minutes that the study may take; seeds and steps are planned from it before anything is trained.",
        json_schema_extra={"metavar": "MINUTES", "default": "the study's own"},
    )
    seeds: int | None = Field(
        default=None,
        ge=LEAST_SEEDS,
        description="Instead of a budget: N seeds of every recipe, trained in full, however long that takes.",
        json_schema_extra={"default": "planned from the budget"},
    )
    part: Names = Field(
        default=(),
        description="Only these parts of the study.",
        json_schema_extra={"metavar": "NAME,NAME,...", "default": "all"},
    )
    out: Path | None = Field(
        default=None,
        description="Folder of models, runs and results; an interrupted study there is continued.",
        json_schema_extra={"default": "studies/NAME"},
    )
    device: Literal["cpu", "cuda", "auto"] = Field(default="cpu", description="Device of training and decoding.")
    jobs: int | None = Field(
        default=None,
        ge=1,
        description="Models trained side by side, one thread each; with --cluster on each node.",
        json_schema_extra={"default": "one per core, or per GPU"},
    )
    cluster: str | None = Field(
        default=None,
        description="Ray cluster on whose nodes models are trained and tested: auto is the one that this machine is a part of. All nodes "
        "have to see --out.",
        json_schema_extra={"metavar": "auto|ray://HOST:PORT", "default": "this machine alone"},
    )
    seed: int = Field(default=0, ge=0, description="The first training seed; the others follow it.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.seeds is not None and self.budget is not None:
            raise ValueError("--budget plans the number of seeds: give either --budget or --seeds")
        return self
