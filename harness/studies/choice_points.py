"""`choice-points`: how much of loss and gradient is spent on tokens that decide what follows, by n?"""

from __future__ import annotations

import numpy as np

from mtp_eval.harness.studies.choice_terms import LOOK, gradient_share, hard_terms, loss_share, trunk_share
from mtp_eval.harness.studies.claims import Agreement
from mtp_eval.harness.studies.definition import Part, Results, Study
from mtp_eval.harness.studies.figures import by_recipe
from mtp_eval.harness.studies.information import MODEL
from mtp_eval.harness.studies.recipes import BY_N, by_n
from mtp_eval.results.report.figure import Plot, finish, make_panels
from mtp_eval.tasks.synthetic.laws import LAWS

HARD, LOSS, GRADIENT, TRUNK = hard_terms(), loss_share(), gradient_share(), trunk_share()
FIGURE_9 = "arXiv 2404.19737, section 5.1 and Figure 9"
NS = (1, 2, 4)
MODELS = by_n(
    "choices",
    "chain-n2",
    NS,
    {
        **MODEL,
        "data.sources": ["task:process@choices"],
        "model.context_length": LAWS["choices"].length + 2,
        "model.n_layers": 5,
        "steps": 80,
        "batch_size": 32,
    },
)


def formula(n: int) -> float:
    """Per cent of the hard terms that hang on a choice: n(n+1)/2 of n(n+1)/2 and n."""
    return 100.0 * (n + 1) / (n + 3)


def figure(results: Results) -> Plot:
    """Mean loss by head and place of the largest n, as the paper's Figure 9 has it, and shares by n beside the formula."""
    figure, (terms, *shares) = make_panels(4)
    part = results.parts()[0]
    found = [cell.examined(LOOK).loss_of_place for cell in results.of(part.recipes[-1].name).values()]
    image = terms.imshow(np.mean(found, axis=0), cmap="Blues", vmin=0.0, aspect="auto")
    figure.colorbar(image, ax=terms, label="nats")
    terms.set_yticks(range(NS[-1]), [str(i + 1) for i in range(NS[-1])])
    terms.set_xticks(range(9), ["choice", "1", "2", "3", "4", ":", "free", ":", ":"], rotation=45)
    finish(terms, f"mean loss, n={NS[-1]}", "target", "head")
    terms.grid(visible=False)
    for ax, measure in zip(shares, (LOSS, GRADIENT, TRUNK), strict=True):
        by_recipe(ax, results, part, measure, BY_N)
        ax.plot(range(len(NS)), [formula(n) for n in NS], "k_", markersize=22)
    return Plot(
        "choice-points",
        "Loss by head and target; shares of loss and gradient that hang on choices (points: seeds; bars: 95 % intervals; black: "
        "(n+1)/(n+3), by the count of terms).",
        figure,
    )


STUDY = Study(
    name="choice-points",
    asks="how much of loss and gradient is spent on tokens that decide what follows?",
    paper=(
        "Of the terms of an n-token loss n(n+1)/2 hang on a choice that decides what follows it, and n on a transition without "
        "consequences (section 5.1; Figure 9 has n=3 and six hard terms): choices get (n+1)/2 times the emphasis. The paper measures "
        "nothing of it. Here: texts in which one of four symbols decides on the next four, and another of four on nothing."
    ),
    parts=(Part("choices", "process@choices", MODELS, minutes=0.3, seeds=4),),
    measures=(HARD, LOSS, GRADIENT, TRUNK),
    claims=(
        *(
            Agreement(
                text=f"n={n}: {n * (n + 1) // 2} terms of each choice are hard",
                source=FIGURE_9, measure=HARD, matters=0.5, paper=f"n(n+1)/2 = {n * (n + 1) // 2}",
                recipe=f"choices-n{n}", expected=n * (n + 1) / 2,
            )
            for n in NS
        ),
        *(
            Agreement(
                text=f"n={n}: the share of the {what} that hangs on choices is that of {n * (n + 1) // 2} terms beside {n}",
                source=FIGURE_9, measure=measure, matters=0.1 * formula(n), paper=f"{formula(n):.1f} %",
                recipe=f"choices-n{n}", expected=formula(n),
            )
            for n in NS
            for what, measure in (("loss", LOSS), ("gradient", GRADIENT))
        ),
    ),
    minutes=10.0,
    means=(
        "What this means: where losses are shared out as the formula says, choices weigh (n+1)/2 times as much in the loss of a trained "
        "model as symbols without consequences. What it does not mean: that gradients follow the same count. A term's gradient depends on "
        "how large its head's output is, too, and in the trunk (last column, of which nothing is claimed) the terms of one choice add up."
    ),
    figure=figure,
)  # fmt: skip
