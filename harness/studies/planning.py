"""`planning`: does predicting n tokens teach a model to look ahead, where the first token of the answer needs it?"""

from __future__ import annotations

from mtp_eval.harness.studies.definition import Claim, Part, Recipe, Results, Study
from mtp_eval.harness.studies.figures import by_recipe, curves, watched
from mtp_eval.harness.studies.measures import pass_at_1, steps_until
from mtp_eval.results.report.figure import Plot, legend, make_panels

SCORE = pass_at_1()
HALF = steps_until(0.5)
LOOKAHEAD = "arXiv 2404.19737, section 5.1: the n-token loss weighs choice points by n(n+1)/2"
TOO_MANY = "arXiv 2404.19737, Table S7: at 0.3B n=4 is behind n=2, which is behind n=1"
STAR = "arXiv 2403.06963 and 2604.11912: star graphs"
REACH = "arXiv 2509.23186: transitive reachability"
COUNTDOWN = "arXiv 2604.11912: Countdown"


def by_n(task: str, *ns: int) -> tuple[Recipe, ...]:
    """The presets of a task."""
    return tuple(Recipe(f"{task}-n{n}", f"n={n}", f"{task}-n{n}") for n in ns)


DEEP = {"model.n_layers": 5}
"""`chain` with a layer more than its presets have: four heads leave a trunk of one layer then, as on `route`."""


def deep_chain(*ns: int) -> tuple[Recipe, ...]:
    """Chain at equal parameters for n = 1, 2, 3, 4, which four layers have no room for."""
    return tuple(Recipe(f"chain-deep-n{n}", f"n={n}", "chain-n2", {**DEEP, "model.n_future": n}) for n in ns)


def figure(results: Results) -> Plot:
    """Scores against n, as in the paper's Figure 3, and learning curves; a panel a task."""
    parts = results.parts()
    followed = watched(parts)
    figure, axes = make_panels(len(parts) + len(followed), height=3.4)
    for ax, part in zip(axes, parts, strict=False):
        by_recipe(ax, results, part, SCORE, "tokens predicted at once")
    for ax, part in zip(axes[len(parts) :], followed, strict=True):
        curves(ax, results, part)
    legend(figure)
    return Plot(
        "planning", "Greedy pass@1 by n (points: seeds; bars: 95 % intervals over seeds) and learning curves.", figure
    )


STUDY = Study(
    name="planning",
    asks="does predicting n tokens teach a model to look ahead?",
    paper=(
        "Tokens that decide what follows (choice points) get more weight in the n-token loss, n(n+1)/2 terms where an ordinary token "
        "has n (section 5.1); the paper shows no experiment on planning. Others do: next-token models fail on star graphs "
        "(arXiv 2403.06963), and multi-token objectives help on them, on Countdown (2604.11912) and on reachability (2509.23186). "
        "On code, Table S7 has n=2 and n=4 behind n=1 at 0.3B parameters (MBPP 1.8, 1.7, 1.0) and ahead at 13B (26.0, 30.5, 30.5)."
    ),
    parts=(
        Part("chain", "chain", by_n("chain", 1, 2), minutes=0.7, watch=0.5),
        Part("route", "route", by_n("route", 1, 2, 3, 4), minutes=1.6, watch=0.5),
        Part("chain-deep", "chain", deep_chain(1, 2, 3, 4), minutes=0.9, watch=0.5),
        Part("stargraph", "stargraph@d2l3", by_n("stargraph", 1, 2), minutes=1.6),
        Part(
            "chain-longer", "chain", (Recipe("chain-deep-n1-x4", "n=1, 4 x the steps", "chain-n2", {**DEEP, "model.n_future": 1}, 4.0),),
            minutes=0.9, watch=0.5, seeds=3,
        ),
        Part("reach", "reach@n100", by_n("reach", 1, 2), minutes=3.0, seeds=3, watch=0.5),
        Part("countdown", "countdown@n3", by_n("countdown", 1, 2), minutes=3.0, seeds=3),
        Part(
            "route-longer", "route", (Recipe("route-n1-x4", "n=1, 4 x the steps", "route-n1", longer=4.0),),
            minutes=1.6, watch=0.5, seeds=3,
        ),
    ),
    measures=(SCORE, HALF),
    claims=(
        Claim(
            "on route, programs whose first call takes three hops to find, n=2 writes more programs right than n=1",
            LOOKAHEAD, SCORE, "route-n2", "route-n1", matters=5.0, learnt=40.0,
        ),
        Claim(
            "on chain, answers whose first node takes two hops to find, n=2 gets more right than n=1",
            LOOKAHEAD, SCORE, "chain-n2", "chain-n1", matters=5.0, learnt=45.0,
        ),
        Claim(
            "on route n=2 needs fewer steps than n=1 until half of the programs are right",
            LOOKAHEAD, HALF, "route-n2", "route-n1", matters=5.0, rises=False,
        ),
        Claim(
            "at this size more heads than two cost more than they give: on route n=4 is behind n=2",
            TOO_MANY, SCORE, "route-n4", "route-n2", matters=5.0, rises=False, learnt=40.0,
        ),
        *(
            Claim(
                f"on chain with five layers n={n} gets more answers right than n=1",
                LOOKAHEAD, SCORE, f"chain-deep-n{n}", "chain-deep-n1", matters=5.0, learnt=45.0,
            )
            for n in (2, 3, 4)
        ),
        Claim(
            "at this size more heads than two cost more than they give: on chain with five layers n=4 is behind n=2",
            TOO_MANY, SCORE, "chain-deep-n4", "chain-deep-n2", matters=5.0, rises=False, learnt=45.0,
        ),
        Claim(
            "on star graphs n=2 finds the right path more often than n=1",
            STAR, SCORE, "stargraph-n2", "stargraph-n1", matters=5.0, learnt=60.0,
        ),
        Claim(
            "n=2 is still ahead of n=1 on chain when n=1 has four times the steps (five layers)",
            LOOKAHEAD, SCORE, "chain-deep-n2", "chain-deep-n1-x4", matters=5.0, learnt=45.0,
        ),
        Claim(
            "on paths in one fixed graph (reach) n=2 is ahead of n=1",
            REACH, SCORE, "reach-n2", "reach-n1", matters=5.0, learnt=30.0,
        ),
        Claim(
            "on Countdown n=2 is ahead of n=1",
            COUNTDOWN, SCORE, "countdown-n2", "countdown-n1", matters=5.0, learnt=30.0,
        ),
        Claim(
            "n=2 is still ahead of n=1 on route when n=1 has four times the steps",
            LOOKAHEAD, SCORE, "route-n2", "route-n1-x4", matters=5.0, learnt=40.0,
        ),
    ),
    minutes=20.0,
    means=(
        "What this means: where the first token of an answer depends on the later ones, a head for the second token teaches the "
        "model the "
        "step in between, which the next-token loss alone hardly does. What it does not mean: that n=2 writes better programs in "
        "general. These tasks were made so that the hardest token comes first, the models have under half a million parameters, and "
        "each edge is one token; on text such tokens are rare, and the paper finds no gain from n at small sizes."
    ),
    figure=figure,
)  # fmt: skip
