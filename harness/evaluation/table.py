"""Tables of finished runs, from the command line or a notebook: the options, and what they ask for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from mtp_eval.harness.config import Config, Counts, Paths, given_config
from mtp_eval.harness.evaluation.compare import RunName
from mtp_eval.harness.outputs import try_file, try_folder, write_file
from mtp_eval.results.choices import TableExport, TableGains, TableStyle
from mtp_eval.results.compare.layouts import paper_table
from mtp_eval.results.run import Run, read_runs, wanted_ks
from mtp_eval.results.tables.exports import EXPORTS, export
from mtp_eval.results.tables.layout import Layout, named, read_names
from mtp_eval.results.tables.render import Table, render
from mtp_eval.results.tables.standard import unfinished
from mtp_eval.results.tables.styles import without_empty
from mtp_eval.results.tables.tensorboard import write_events


def _latex_key(text: str) -> str:
    if (text and not text.isprintable()) or set(text) & set("{}\\%#~^"):
        raise ValueError("expected letters, digits, : and -, as in tab:main")
    return text


class PaperOptions(Config):
    """Options for tables in papers."""

    GROUP: ClassVar[str] = "For papers"

    names: Path | None = Field(
        default=None,
        description='Display names, lines of "label" = "name"; rows follow their order.',
        json_schema_extra={"metavar": "NAMES.toml"},
    )
    digits: int = Field(default=1, ge=0, le=6, description="Decimals of scores in percent.")
    gains: TableGains = Field(default="none", description="by-n, by-size: the gain over the first row, in brackets.")
    drop_empty: bool = Field(default=False, description="Leave out rows and columns without a figure.")
    caption: str = Field(default="", description="LaTeX: the caption.", json_schema_extra={"default": "the settings"})
    label: Annotated[str, AfterValidator(_latex_key)] = Field(
        default="", description="LaTeX: the label, such as tab:main.", json_schema_extra={"metavar": "KEY"}
    )


class TableConfig(PaperOptions):
    """The options of `mtp-eval table`."""

    GROUP: ClassVar[str] = "Options"

    runs: Paths = Field(min_length=1, description="Run folders.", json_schema_extra={"metavar": "RUN..."})
    format: TableExport = Field(default="markdown", description="Form of the output.")
    style: TableStyle = Field(default="standard", description="Layout of rows and columns; see docs/results.md.")
    k: Counts | None = Field(
        default=None,
        min_length=1,
        description="The k of pass@k.",
        json_schema_extra={"metavar": "K,K,...", "default": "the runs' own"},
    )
    baseline: RunName | None = Field(
        default=None,
        description="Run folder, or FOLDER::MODEL, to add the paired difference from.",
        json_schema_extra={"metavar": "RUN"},
    )
    pool_seeds: bool = Field(
        default=False, description="One row per recipe: models whose labels differ by their seed only."
    )
    level: float = Field(default=0.95, ge=0.5, lt=1.0, description="Level of the intervals, such as 0.95 or 0.9.")
    out: Path | None = Field(default=None, description="Write to this file instead of printing.")
    tensorboard: Path | None = Field(
        default=None,
        description="Also write the scores as TensorBoard scalars, by training step, into this new folder.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.style != "standard" and (self.baseline or self.pool_seeds):
            raise ValueError("--baseline and --pool-seeds go with --style standard")
        if self.baseline and self.pool_seeds:
            raise ValueError("--baseline and --pool-seeds cannot be given together; `compare --pool-seeds` does both")
        return self

    @property
    def is_export(self) -> bool:
        """Whether the form is another harness's, which has no rows and columns."""
        return self.format in EXPORTS


@dataclass(frozen=True)
class Tabled:
    """Runs as a table. In a notebook it is shown; `str()` is its text in the form that was asked for."""

    table: Table
    runs: tuple[Run, ...]
    ks: tuple[int, ...]
    format: TableExport = "markdown"

    def text(self, format: TableExport | None = None) -> str:
        """The text in a form: by default the one that was asked for.

        Raises:
            OptionError: an unknown form, or one that has no room for these runs.
        """
        wanted = format or self.format
        return export(wanted, self.runs, self.ks) if wanted in EXPORTS else render(self.table, wanted)

    @property
    def unfinished(self) -> list[str]:
        """A sentence for each run that is not complete; the table has them as notes."""
        return unfinished(self.runs)

    def __str__(self) -> str:
        return self.text()

    def _repr_markdown_(self) -> str:
        return self.text("markdown")


def table(config: TableConfig | None = None, **options: Any) -> Tabled:
    """Make a table of runs: `table(runs=["runs/n1", "runs/n4"], style="by-n").text("latex")`; `out=` also writes it.

    Raises:
        InputError: a wrong option, or a file that cannot be written.
        RunError: no such run.
        OptionError: options that do not go with these runs.
        NotComparable: a baseline that cannot be compared.
    """
    config = given_config(TableConfig, config, options)
    try_file(config.out, "--out")
    try_folder(config.tensorboard, "--tensorboard")
    names = read_names(config.names) if config.names else {}
    runs = named(read_runs(config.runs), names)
    ks = wanted_ks(runs, config.k)
    layout = Layout(config.level, config.digits, config.gains, tuple(names.values()))
    made = paper_table(runs, ks, config.style, layout, config.baseline, config.pool_seeds)
    made = without_empty(made) if config.drop_empty else made
    made = replace(made, caption=config.caption, label=config.label)
    tabled = Tabled(made, tuple(runs), tuple(ks), config.format)
    if config.out is not None:
        write_file(config.out, [tabled.text()])
    if config.tensorboard is not None:
        write_events(config.tensorboard, runs, ks)
    return tabled
