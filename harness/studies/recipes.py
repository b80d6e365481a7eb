"""The shapes that studies share: recipes that differ in n, claims that differ in the models, panels that differ in the measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtp_eval.harness.studies.claims import Comparison
from mtp_eval.harness.studies.definition import Measure, Recipe, Results
from mtp_eval.harness.studies.figures import by_recipe, curves, watched
from mtp_eval.results.report.figure import Plot, legend, make_panels

BY_N = "tokens predicted at once"


def by_n(name: str, preset: str, ns: Sequence[int], changes: Mapping[str, Any] | None = None) -> tuple[Recipe, ...]:
    """NAME-n1 and so on: a preset's models of equal parameters that differ in n alone.

    Args:
        changes: keys of the preset that are other in all of them.
    """
    return tuple(Recipe(f"{name}-n{n}", f"n={n}", preset, {**(changes or {}), "model.n_future": n}) for n in ns)


def longer(recipe: Recipe, times: float) -> Recipe:
    """A recipe with so many times the steps."""
    return Recipe(
        f"{recipe.name}-x{times:g}", f"{recipe.label}, {times:g} x the steps", recipe.preset, recipe.changes, times
    )


@dataclass(frozen=True)
class Question:
    """The fields that several claims have in common; see `Comparison`."""

    source: str
    measure: Measure
    matters: float = 5.0
    learnt: float = 0.0
    rises: bool = True
    relative: bool = False
    paper: str = ""

    def claim(self, text: str, candidate: str, baseline: str, paper: str = "") -> Comparison:
        """The claim that the candidate's measure is above the baseline's (below, with `rises=False`)."""
        return Comparison(
            text=text,
            source=self.source,
            measure=self.measure,
            matters=self.matters,
            paper=paper or self.paper,
            candidate=candidate,
            baseline=baseline,
            rises=self.rises,
            learnt=self.learnt,
            relative=self.relative,
        )


def panels(
    name: str,
    caption: str,
    measures: Sequence[Measure],
    x: str = BY_N,
    of_part: Mapping[str, Sequence[Measure]] | None = None,
) -> Callable[[Results], Plot]:
    """Makes a plot with a panel for each part and measure, seed by seed, and learning curves of the parts that have them.

    Args:
        of_part: measures of single parts, by their names, in the place of `measures`.
    """

    def draw(results: Results) -> Plot:
        parts = results.parts()
        followed = watched(parts)
        scores = [(part, measure) for part in parts for measure in (of_part or {}).get(part.name, measures)]
        figure, axes = make_panels(len(scores) + len(followed), height=3.4)
        for ax, (part, measure) in zip(axes, scores, strict=False):
            by_recipe(ax, results, part, measure, x)
        for ax, part in zip(axes[len(scores) :], followed, strict=True):
            curves(ax, results, part)
        legend(figure)
        return Plot(name, caption, figure)

    return draw
