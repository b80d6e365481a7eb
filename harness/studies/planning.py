"""`planning`: does predicting n tokens teach a model to look ahead, where the first token of the answer needs it?"""

from __future__ import annotations

from mtp_eval.harness.studies.definition import Part, Study
from mtp_eval.harness.studies.measures import pass_at_1, steps_until
from mtp_eval.harness.studies.recipes import Question, by_n, longer, panels

SCORE, HALF = pass_at_1(), steps_until(0.5)
LOOKAHEAD = "arXiv 2404.19737, section 5.1: the n-token loss weighs choice points by n(n+1)/2"
TOO_MANY = "arXiv 2404.19737, Table S7: at 0.3B n=4 is behind n=2, which is behind n=1"
ON_CHAIN, ON_ROUTE = (Question(LOOKAHEAD, SCORE, learnt=learnt) for learnt in (45.0, 40.0))
CHAIN_BEHIND, ROUTE_BEHIND = (
    Question(TOO_MANY, SCORE, learnt=learnt, rises=False, paper="MBPP 1.8, 1.7, 1.0 with n = 1, 2, 4")
    for learnt in (45.0, 40.0)
)
SOONER = Question(LOOKAHEAD, HALF, rises=False)
ON_STAR = Question("arXiv 2403.06963 and 2604.11912: star graphs", SCORE, learnt=60.0)
ON_REACH = Question("arXiv 2509.23186: transitive reachability", SCORE, learnt=30.0)
ON_COUNTDOWN = Question("arXiv 2604.11912: Countdown", SCORE, learnt=30.0)
DEEP = {"model.n_layers": 5}
"""`chain` with a layer more than its presets have: four heads leave a trunk of one layer then, as on `route`."""

CHAIN_DEEP = by_n("chain-deep", "chain-n2", (1, 2, 3, 4), DEEP)
ROUTE = by_n("route", "route-n2", (1, 2, 3, 4))

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
        Part("chain", "chain", by_n("chain", "chain-n2", (1, 2)), minutes=0.7, watch=0.5),
        Part("route", "route", ROUTE[:2], minutes=1.6, watch=0.5),
        Part("chain-deep", "chain", CHAIN_DEEP, minutes=0.9, watch=0.5),
        Part("stargraph", "stargraph@d2l3", by_n("stargraph", "stargraph-n2", (1, 2)), minutes=1.6),
        Part("chain-longer", "chain", (longer(CHAIN_DEEP[0], 4),), minutes=0.9, watch=0.5, seeds=3),
        Part("route-heads", "route", ROUTE[2:], minutes=1.6, watch=0.5),
        Part("route-longer", "route", (longer(ROUTE[0], 4),), minutes=1.6, watch=0.5, seeds=3),
        Part("reach", "reach@n100", by_n("reach", "reach-n2", (1, 2)), minutes=3.0, seeds=3, watch=0.5),
        Part("countdown", "countdown@n3", by_n("countdown", "countdown-n2", (1, 2)), minutes=3.0, seeds=3),
    ),
    measures=(SCORE, HALF),
    claims=(
        ON_ROUTE.claim(
            "on route, programs whose first call takes three hops to find, n=2 writes more programs right than n=1",
            "route-n2", "route-n1",
        ),
        ON_CHAIN.claim(
            "on chain, answers whose first node takes two hops to find, n=2 gets more right than n=1", "chain-n2", "chain-n1"
        ),
        SOONER.claim("on route n=2 needs fewer steps than n=1 until half of the programs are right", "route-n2", "route-n1"),
        *(
            ON_CHAIN.claim(
                f"on chain with five layers n={n} gets more answers right than n=1", f"chain-deep-n{n}", "chain-deep-n1"
            )
            for n in (2, 3, 4)
        ),
        CHAIN_BEHIND.claim(
            "at this size more heads than two cost more than they give: on chain with five layers n=4 is behind n=2",
            "chain-deep-n4", "chain-deep-n2",
        ),
        ROUTE_BEHIND.claim(
            "at this size more heads than two cost more than they give: on route n=4 is behind n=2", "route-n4", "route-n2"
        ),
        ON_STAR.claim("on star graphs n=2 finds the right path more often than n=1", "stargraph-n2", "stargraph-n1"),
        ON_CHAIN.claim(
            "n=2 is still ahead of n=1 on chain when n=1 has four times the steps (five layers)",
            "chain-deep-n2", "chain-deep-n1-x4",
        ),
        ON_ROUTE.claim("n=2 is still ahead of n=1 on route when n=1 has four times the steps", "route-n2", "route-n1-x4"),
        ON_REACH.claim("on paths in one fixed graph (reach) n=2 is ahead of n=1", "reach-n2", "reach-n1"),
        ON_COUNTDOWN.claim("on Countdown n=2 is ahead of n=1", "countdown-n2", "countdown-n1"),
    ),
    minutes=20.0,
    means=(
        "What this means: where the first token of an answer depends on the later ones, a head for the second token teaches the "
        "model the step in between, which the next-token loss alone hardly does. What it does not mean: that n=2 writes better "
        "programs in general. These tasks were made so that the hardest token comes first, the models have under half a million "
        "parameters, and each edge is one token; on text such tokens are rare, and the paper finds no gain from n at small sizes."
    ),
    figure=panels(
        "planning", "Greedy pass@1 by n (points: seeds; bars: 95 % intervals over seeds) and learning curves.", (SCORE,)
    ),
)  # fmt: skip
