"""`mtp-eval study`: a claim of the paper from training to verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtp_eval.harness.commands.options import Given, command

if TYPE_CHECKING:
    from mtp_eval.harness.studies.config import StudyConfig

STUDIES = Path("studies")
"""Where studies go that were given no place."""


def config_class() -> type[StudyConfig]:
    """The class of the options."""
    from mtp_eval.harness.studies.config import StudyConfig

    return StudyConfig


@command(
    "mtp-eval study --list",
    "mtp-eval study planning --budget 20",
    "mtp-eval study all --budget 120 --out paper",
    config=config_class,
)
def study(
    given: Given,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Which study, or `all`.", show_default=False)
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show all studies with what they cost.")] = False,
) -> None:
    """Test a claim of the paper within a time budget: train models, test them, say whether it is reproduced.

    Models are trained side by side, each in a folder that `train` and `run` would make; the same command continues a study
    that was cut off. Verdicts are by a test that is written down, with the plan, before anything is trained.
    """
    from mtp_eval.harness.errors import InputError
    from mtp_eval.harness.outputs import try_folder
    from mtp_eval.harness.studies.catalogue import ALL, listing, load_study
    from mtp_eval.harness.studies.conduct import conduct
    from mtp_eval.harness.studies.every import conduct_all

    if list_:
        print(listing())
        return
    if name is None:
        raise InputError("which study? `mtp-eval study --list` shows them")
    wanted = None if name == ALL else load_study(name)
    config = config_class().given(given)
    out = config.out or STUDIES / name
    try_folder(out, "--out")
    print(conduct_all(config, out) if wanted is None else conduct(wanted, config, out))
