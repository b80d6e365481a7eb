"""Layout options of a table: digits, gains, display names and their order, empty columns."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from mtp_eval.results.errors import OptionError
from mtp_eval.results.scores.scored import ScoredRun

Gains = Literal["none", "points", "relative"]
SomeRun = TypeVar("SomeRun", bound=ScoredRun)


@dataclass(frozen=True)
class Layout:
    """Layout options that the table styles share.

    Args:
        level: of the intervals.
        digits: decimals of scores in percent.
        gains: in by-n and by-size, what stands behind a score: nothing, its gain over the first row of its block in points,
            or in percent of it.
        order: names of models, in the order in which their rows stand; others follow.
    """

    level: float = 0.95
    digits: int = 1
    gains: Gains = "none"
    order: Sequence[str] = field(default=())

    def place(self, model: str) -> int:
        """The position of a model's row."""
        if model in self.order:
            return self.order.index(model)
        behind_a_run = (i for i, name in enumerate(self.order) if model.endswith(f"/{name}"))
        return next(behind_a_run, len(self.order))


def read_names(path: Path) -> dict[str, str]:
    """A TOML file of display names, `"n4-step900" = "4 tokens"`, in the order in which the rows shall stand.

    Raises:
        OptionError: no such file, not TOML, or something else than names in it.
    """
    try:
        names = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"--names {path} cannot be read: {error}") from None
    names = names.get("names", names) if isinstance(names.get("names", names), dict) else names
    wrong = [label for label, name in names.items() if not isinstance(name, str)]
    if wrong:
        raise OptionError(f'--names {path}: expected lines of the form "label" = "name"; {wrong[0]} is something else')
    return dict(names)


def named(runs: Sequence[SomeRun], names: Mapping[str, str]) -> list[SomeRun]:
    """The runs under display names; one for a label that several runs have keeps what tells them apart in front of it.

    Raises:
        OptionError: a label that no run has, or two models of one run that would get one name.
    """
    known = {label for run in runs for label in run.models}
    unknown = [
        label for label in names if label not in known | {r.own_label(label) for r in runs for label in r.models}
    ]
    if unknown:
        raise OptionError(f"--names: no model is called {unknown[0]}; there are {', '.join(sorted(known))}")
    renamed = []
    for run in runs:
        own = {label: run.own_label(label) for label in run.models}
        shared = {
            label: f"{run.name}/{names[plain]}" for label, plain in own.items() if plain in names and plain != label
        }
        shown = [{**shared, **names}.get(label, label) for label in run.models]
        if len(set(shown)) < len(shown):
            raise OptionError(f"--names: two models of {run.name or 'one run'} would get one name: {', '.join(shown)}")
        renamed.append(run.relabelled({**shared, **names}))
    return renamed
