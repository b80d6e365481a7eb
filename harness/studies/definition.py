"""The definition of a study: recipes to train, tasks to test them on, measures, and claims with the test that was fixed beforehand.

Study -> parts -> recipes x seeds = cells (an ordinary `train` folder each, and an ordinary `run` or `speed` folder)
               -> claims: a measure compared with that of another recipe, or with a formula, over seeds
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from mtp_eval.results.scores.seed_pairs import SeedPairs, paired_over_seeds

if TYPE_CHECKING:
    from mtp_eval.harness.studies.cell_result import CellResult
    from mtp_eval.results.report.figure import Plot

LEAST_SEEDS = 3
"""No verdict rests on fewer."""
MOST_SEEDS = 10


@dataclass(frozen=True)
class Recipe:
    """One way to train a model.

    Args:
        name: of its folders, followed by the seed; unique in the study.
        label: in tables and legends.
        preset: what is trained.
        changes: keys of the preset that are other, such as {"model.head_kind": "causal"}.
        longer: times the preset's steps.
        run: options of its run, beside those of its part.
        speed: options of `mtp-eval speed`, which then measures the model in the place of a run.
        trained_as: the recipe of the same part whose model is tested again; "": a model of its own.
        starts_from: the recipe of the same part whose model of the same seed the training begins with; "": fresh weights. That model
            decides on shape and tokenizer, with heads added or taken off until there are as many as asked for.
        task: on which it is tested; "": that of its part.
    """

    name: str
    label: str
    preset: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    longer: float = 1.0
    run: Mapping[str, Any] = field(default_factory=dict)
    speed: Mapping[str, Any] = field(default_factory=dict)
    trained_as: str = ""
    starts_from: str = ""
    task: str = ""

    def again(self, name: str, label: str, *, on: str = "", **run: Any) -> Recipe:
        """Its models once more, run with other options, or on another task."""
        trained_as = self.trained_as or self.name
        return replace(self, name=name, label=label, run=run, trained_as=trained_as, task=on or self.task)

    def timed(self, name: str, label: str, **speed: Any) -> Recipe:
        """Its models once more, measured by `mtp-eval speed` with these options."""
        return replace(self.again(name, label), speed=speed)


@dataclass(frozen=True)
class Part:
    """Recipes that are tested in the same way.

    Args:
        name: of the part in tables.
        task: on which every model of the part is run; several with commas.
        minutes: what one cell costs on one quiet core, about; for `--list` only: a budget is planned by a probe.
        again_minutes: the same of a cell whose model another one trains.
        run: options of the run beside model and task.
        seeds: of each recipe, where the budget allows.
        watch: share of right answers whose first step is looked for during training; None: no such curve is needed.
        on_gpu: too large for a CPU, on which it is left out unless it is named.
        package: what it measures with beside what is always installed, as it is imported; and the extra that brings it.
    """

    name: str
    task: str
    recipes: Sequence[Recipe]
    minutes: float
    run: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 5
    watch: float | None = None
    again_minutes: float = 0.0
    on_gpu: bool = False
    package: tuple[str, str] | None = None

    def minutes_of(self, recipe: Recipe) -> float:
        """Minutes that one cell of a recipe takes, as stated."""
        return self.again_minutes if recipe.trained_as else self.minutes * recipe.longer


@dataclass(frozen=True)
class Measure:
    """A number of each cell.

    Args:
        name: with its unit, as a table's heading.
        of: computes the number from a finished cell.
        variance: of the number for a given model, from its finite number of test problems; 0 where it is no share.
        bounds: what it cannot be beyond.
        digits: after the decimal point.
    """

    name: str
    of: Callable[[CellResult], float]
    variance: Callable[[CellResult], float] = lambda cell: 0.0
    bounds: tuple[float, float] = (-math.inf, math.inf)
    digits: int = 1

    def text(self, value: float) -> str:
        """The number as it is shown."""
        return f"{value:.{self.digits}f}"

    def interval(self, spread: SeedPairs) -> tuple[float, float]:
        """The 95 % interval of a mean over seeds, cut to what the number can be; NaN with fewer than two seeds."""
        low, high = (min(max(edge, self.bounds[0]), self.bounds[1]) for edge in spread.interval())
        return low, high


@dataclass(frozen=True, kw_only=True)
class Claim(ABC):
    """A claim that is stated, with its test, before anything is trained; `claims` has the kinds that there are.

    Args:
        text: the claim in our words.
        source: section, table or figure of the paper, or of the paper that it comes from.
        measure: what it is about.
        matters: the smallest difference that would count, in the measure's unit.
        paper: the figure that the source gives; empty where it gives none.
    """

    text: str
    source: str
    measure: Measure
    matters: float
    paper: str = ""

    @property
    @abstractmethod
    def recipes(self) -> tuple[str, ...]:
        """The recipes that it is about."""

    @abstractmethod
    def means(self, results: Results) -> tuple[float, float]:
        """The value that is compared with, and the value that is compared."""

    @abstractmethod
    def pairs(self, results: Results) -> SeedPairs | None:
        """The difference of the two over seeds; None with fewer than three seeds."""

    def p_value(self, pairs: SeedPairs) -> float:
        """The p-value of the claim's test; of "no difference", two-sided, where a claim has no other."""
        return pairs.p_value

    def smallest_visible(self, pairs: SeedPairs, alpha: float) -> float:
        """The difference that the test at this `alpha` finds four times in five, with the spread that was seen."""
        return pairs.smallest_visible(alpha)

    @abstractmethod
    def outcome(
        self, pairs: SeedPairs, means: tuple[float, float], p_holm: float, n_claims: int, *, in_full: bool
    ) -> tuple[str, str]:
        """The outcome and its reason in half a sentence.

        Args:
            p_holm: corrected over the `n_claims` that the study could test.
            in_full: whether models were trained as long as their recipes ask for.
        """

    @abstractmethod
    def compared(self, means: tuple[float, float]) -> str:
        """The two values in words."""

    @abstractmethod
    def definition(self) -> dict[str, Any]:
        """What decides the verdict, for study.json."""


@dataclass(frozen=True)
class Study:
    """One question to the paper.

    Args:
        asks: the question, in a line.
        paper: what the paper says and shows, with its own figures.
        parts: in the order of importance: what a budget does not reach is left out from the end.
        measures: shown for every recipe.
        minutes: the budget that is taken if none is given.
        means: what the outcome means, and what it does not.
        figure: the plot, in the paper's form.
    """

    name: str
    asks: str
    paper: str
    parts: Sequence[Part]
    measures: Sequence[Measure]
    claims: Sequence[Claim]
    minutes: float
    means: str
    figure: Callable[[Results], Plot]

    def part(self, name: str) -> Part:
        """The part of this name."""
        return next(part for part in self.parts if part.name == name)

    def part_of(self, recipe: str) -> Part:
        """The part that a recipe belongs to."""
        return next(part for part in self.parts if recipe in [one.name for one in part.recipes])

    @property
    def core_minutes(self) -> float:
        """Minutes of one core for all parts but those for a GPU, with their usual seeds, as stated."""
        parts = [part for part in self.parts if not part.on_gpu]
        return sum(part.seeds * part.minutes_of(recipe) for part in parts for recipe in part.recipes)


@dataclass(frozen=True)
class Results:
    """All finished cells of a study."""

    study: Study
    cells: tuple[CellResult, ...]

    def parts(self) -> list[Part]:
        """The parts that have cells, in the study's order."""
        there = {result.cell.part for result in self.cells}
        return [part for part in self.study.parts if part.name in there]

    def of(self, recipe: str) -> dict[int, CellResult]:
        """The cells of one recipe, by seed."""
        found = [result for result in self.cells if result.cell.recipe == recipe]
        return {result.cell.seed: result for result in sorted(found, key=lambda result: result.cell.seed)}

    def values(self, recipe: str, measure: Measure) -> dict[int, float]:
        """The measure of each seed; those that have none are left out."""
        values = {seed: measure.of(result) for seed, result in self.of(recipe).items()}
        return {seed: value for seed, value in values.items() if value == value}

    def spread(self, recipe: str, measure: Measure) -> SeedPairs | None:
        """Mean over seeds with its standard error; None without a value."""
        values = self.values(recipe, measure)
        if not values:
            return None
        cells = self.of(recipe)
        least = fmean(measure.variance(cells[seed]) for seed in values)
        return paired_over_seeds([0.0] * len(values), list(values.values()), least)
