"""All studies by name; one is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.studies.definition import Study
from mtp_eval.tasks.errors import did_you_mean

ALL = "all"
NAMES = (
    "planning", "speed", "bytes", "heads", "arithmetic", "induction", "code-scaling", "information", "choice-points", "exposure",
    "retrofit", "finetune", "best-n", "vocabulary", "natural-language", "whitespace",
)  # fmt: skip
"""Each is STUDY in the module of its name, with "_" for "-"."""


def load_study(name: str) -> Study:
    """The study of this name.

    Raises:
        InputError: there is none.
    """
    if name not in NAMES:
        hint = did_you_mean(name, (*NAMES, ALL), "`mtp-eval study --list` shows them")
        raise InputError(f"there is no study {name!r}: {hint}")
    study: Study = import_module(f"mtp_eval.harness.studies.{name.replace('-', '_')}").STUDY
    return study


def listing() -> str:
    """Every study with its question and what it costs."""
    lines = [f"{'study':<16} {'budget':>8} {'all parts':>18}  asks"]
    for_gpu = []
    for name in NAMES:
        study = load_study(name)
        for_gpu += [f"{name}'s {part.name}" for part in study.parts if part.on_gpu]
        whole = f"{study.core_minutes:.0f} core minutes"
        lines.append(f"{name:<16} {study.minutes:>4g} min {whole:>18}  {study.asks}")
    lines.append(
        "\nbudget: used where --budget gives none, on all cores; all parts: with the usual seeds, on one core (about). "
        "A smaller budget leaves out parts from the end, then seeds, then steps. "
        f"Not counted: parts that are done only with --device cuda or where --part names them ({', '.join(for_gpu)})."
    )
    return "\n".join(lines)
