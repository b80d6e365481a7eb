"""Comparing two finished runs, from the command line or a notebook: the options, and what they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from mtp_eval.harness.config import Config, Counts, given_config
from mtp_eval.results.choices import ComparisonFormat
from mtp_eval.results.compare.folders import DEFAULT_ALPHA, DEFAULT_FLIPS, Compared, compare_folders, compare_pooled
from mtp_eval.results.compare.power import USUAL_AGREEMENT


def as_text(value: Any) -> Any:
    """A path as its text; anything else is for the field's type to judge."""
    return str(value) if isinstance(value, Path) else value


RunName = Annotated[str, BeforeValidator(as_text)]
"""A run folder, also as a path, or FOLDER::MODEL."""


class PowerOptions(Config):
    """Assumptions of `--power` about runs that are planned."""

    GROUP: ClassVar[str] = "Before a run"

    power: bool = Field(default=False, description="Smallest difference that such runs can detect, before a run.")
    problems: int = Field(default=500, ge=2, description="--power without a run: number of problems.")
    score: float = Field(
        default=0.3, gt=0.0, lt=1.0, description="--power without a run: baseline's pass@1 as a share."
    )
    agreement: float = Field(
        default=USUAL_AGREEMENT,
        ge=0.0,
        le=1.0,
        description="--power: correlation of two models' chances per problem.",
    )


class CompareConfig(PowerOptions):
    """The options of `mtp-eval compare`."""

    GROUP: ClassVar[str] = "Options"

    baseline: RunName | None = Field(
        default=None,
        description="Run folder, or FOLDER::MODEL for one of its models.",
        json_schema_extra={"metavar": "RUN"},
    )
    candidate: RunName | None = Field(
        default=None,
        description="The same. Left out: the baseline's other models against its first.",
        json_schema_extra={"metavar": "RUN"},
    )
    k: Counts | None = Field(
        default=None,
        min_length=1,
        description="The k of pass@k.",
        json_schema_extra={"metavar": "K,K,...", "default": "those of both runs"},
    )
    alpha: float = Field(
        default=DEFAULT_ALPHA, gt=0.0, lt=1.0, description="Chance of any false alarm over all comparisons together."
    )
    tolerance: float = Field(
        default=0.0, ge=0.0, lt=100.0, description="Points a score may drop before it is a regression."
    )
    margin: float = Field(
        default=0.0,
        ge=0.0,
        le=100.0,
        description="Test that the candidate is not worse by X points or more.",
        json_schema_extra={"default": "no test"},
    )
    fail_on_regression: bool = Field(
        default=False,
        description="Exit with 3 when the candidate is worse, or not shown to be within the margin.",
    )
    on_common_problems: bool = Field(
        default=False, description="Where the problem sets differ, compare the problems of both."
    )
    format: ComparisonFormat = Field(default="markdown", description="Form of the output.")
    flips: int = Field(default=DEFAULT_FLIPS, ge=0, description="Problems to list per direction.")
    pool_seeds: bool = Field(
        default=False,
        description="Take models that differ only in their seed as one recipe; join their run folders with commas.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.margin and self.pool_seeds:
            raise ValueError("--margin and --pool-seeds cannot be given together")
        return self


def compare(config: CompareConfig | None = None, **options: Any) -> Compared:
    """Compare two runs problem by problem: `compare(baseline="runs/a", candidate="runs/b").text()`.

    Raises:
        InputError: a wrong option.
        RunError: no such run.
        NotComparable: runs that cannot be compared.
        OptionError: options that do not go with these runs.
    """
    config = given_config(CompareConfig, config, options)
    if config.pool_seeds:
        return compare_pooled(config.baseline, config.candidate, config.k)
    return compare_folders(
        config.baseline, config.candidate, config.k, config.on_common_problems, config.margin / 100.0
    )
