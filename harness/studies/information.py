"""`information`: do the heads' losses reach the entropies, and does a second head count the shared information twice?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mtp_eval.harness.studies.claims import Agreement
from mtp_eval.harness.studies.definition import Claim, Measure, Part, Recipe, Results, Study
from mtp_eval.harness.studies.head_losses import NEXT, SECOND, SHARED, shared_weight
from mtp_eval.harness.studies.recipes import by_n
from mtp_eval.results.report.figure import Plot, finish, make_panels, style_of
from mtp_eval.tasks.synthetic.laws import LAWS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WEIGHT = shared_weight()
SECTION = "arXiv 2404.19737, section 5.2"
BUDGETS: Mapping[str, tuple[int, int]] = {"markov": (120, 64), "copy": (250, 64), "permutation": (220, 128)}
"""Steps and texts of each, chosen with a seed that the study does not have."""
NATS, TIMES = 0.02, 0.1
"""The stated errors: of an entropy, and of a weight."""
MODEL: Mapping[str, Any] = {
    "model.d_model": 32,
    "model.n_layers": 3,
    "data.tokenizer": "bytes",
    "data.mask_prompts": False,
    "optimizer.learning_rate": 8e-3,
}


def part(law: str) -> Part:
    """A process with n = 1 and 2."""
    steps, batch_size = BUDGETS[law]
    changes = {
        **MODEL,
        "steps": steps,
        "batch_size": batch_size,
        "data.sources": [f"task:process@{law}"],
        "model.context_length": LAWS[law].length + 2,
    }
    return Part(law, f"process@{law}", by_n(f"information-{law}", "chain-n2", (1, 2), changes), minutes=0.2, seeds=4)


def claims_of(law: str) -> Iterator[Claim]:
    """The formulas of one process."""
    closed, one, two = LAWS[law].closed_forms(), f"information-{law}-n1", f"information-{law}-n2"
    for recipe, measure, expected, text in (
        (one, NEXT, closed.next, "the next-token model's loss is H(X|C)"),
        (two, SECOND, closed.second, "head 2's loss is H(Y|C)"),
        (two, SHARED, closed.shared, "head 2's loss is I(X;Y|C) above head 1's for the same token"),
    ):
        yield Agreement(
            text=f"{law}: {text}", source=SECTION, measure=measure, matters=NATS, recipe=recipe, expected=expected
        )
    if closed.shared:
        for recipe, n, times in ((one, 1, "once"), (two, 2, "twice")):
            yield Agreement(
                text=f"{law}: the loss of n={n} counts what X and Y share {times}",
                source=SECTION,
                measure=WEIGHT,
                matters=TIMES,
                paper=f"{n} x I(X;Y)",
                recipe=recipe,
                expected=n,
            )


def figure(results: Results) -> Plot:
    """What was measured beside the closed forms, a panel for each process; and the weights."""
    parts = results.parts()
    figure, (*axes, last) = make_panels(len(parts) + 1, height=3.4)
    for ax, part in zip(axes, parts, strict=True):
        closed, (one, two) = LAWS[part.name].closed_forms(), part.recipes
        shown = (
            ("H(X|C)\nn=1", one, NEXT, closed.next),
            ("H(X|C)\nn=2", two, NEXT, closed.next),
            ("H(Y|C)\nn=2", two, SECOND, closed.second),
            ("I(X;Y|C)\nn=2", two, SHARED, closed.shared),
        )
        _beside_formulas(ax, results, shown)
        finish(ax, part.name, "", "nats")
    weighed = [part for part in parts if LAWS[part.name].closed_forms().shared]
    names = [(part.name, number, recipe) for part in weighed for number, recipe in enumerate(part.recipes, start=1)]
    _beside_formulas(last, results, [(f"{name}\nn={n}", recipe, WEIGHT, float(n)) for name, n, recipe in names])
    finish(last, "weight of I(X;Y|C)", "", "times")
    return Plot(
        "information",
        "Losses of the heads and what they share, by process, and how often the loss counts it: points are seeds, bars the closed forms.",
        figure,
    )


def _beside_formulas(ax: Axes, results: Results, shown: Sequence[tuple[str, Recipe, Measure, float]]) -> None:
    """Every seed as a point on a bar that reaches to the formula's value."""
    for place, (_, recipe, measure, expected) in enumerate(shown):
        ax.bar([place], [expected], color="0.85", width=0.7)
        values = list(results.values(recipe.name, measure).values())
        n_future = int(recipe.changes["model.n_future"])
        ax.plot([place] * len(values), values, "o", color=style_of(n_future - 1)["color"], markersize=5)
    ax.set_xticks(range(len(shown)), [label for label, *_ in shown], fontsize=8)


STUDY = Study(
    name="information",
    asks="do the heads' losses reach the entropies, and does a second head count what two tokens share twice?",
    paper=(
        "With X the next token, Y the one after it and everything given what is before them, H(X) = H(X|Y) + I(X;Y) and H(X) + H(Y) = "
        "H(X|Y) + 2 I(X;Y) + H(Y|X): predicting two tokens doubles the weight of what they share (section 5.2). The paper measures "
        "nothing of it. Here: three processes whose entropies are known in closed form, models of 0.05M parameters."
    ),
    parts=tuple(part(law) for law in BUDGETS),
    measures=(NEXT, SECOND, SHARED, WEIGHT),
    claims=tuple(claim for law in BUDGETS for claim in claims_of(law)),
    minutes=10.0,
    means=(
        "What this means: the decomposition is an identity, and models that have learnt a process show it in their losses. `copy` is the "
        "control: X and Y share nothing there. What it does not mean: that twice the weight in the loss is twice the learning; a model "
        "that knows the process has nothing left to learn from either. A loss is above an entropy by what was not learnt; the chance of "
        "which texts it is measured on is taken out."
    ),
    figure=figure,
)  # fmt: skip
