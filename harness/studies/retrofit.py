"""`retrofit`: do heads that are added to a trained next-token model, with continued training, bring a gain?"""

from __future__ import annotations

from mtp_eval.harness.studies.claims import NoGain
from mtp_eval.harness.studies.definition import Part, Recipe, Study
from mtp_eval.harness.studies.measures import pass_at_1
from mtp_eval.harness.studies.recipes import panels

SCORE = pass_at_1()
TABLE_S6 = "arXiv 2404.19737, Table S6"
TIMES = {("chain", 2): 1.26, ("chain", 4): 1.79, ("route", 2): 1.23, ("route", 4): 1.68}
"""Training FLOPs per token of the preset's model with heads on top until there are n, over its own, as `train` counts them."""
LEARNT = {"chain": 45.0, "route": 40.0}
STEPS = {"chain": 700, "route": 1200}
NS = (4, 2)


def part(task: str, minutes: float) -> Part:
    """A task with a trained model, the same with heads, and the same trained on with as much compute."""
    trained = Recipe(f"retrofit-{task}-start", "trained, n=1", f"{task}-n1")
    found = [trained]
    for n in NS:
        changes = {"steps": STEPS[task], "model.n_future": n, "model.match": "layers"}
        times = TIMES[task, n]
        found += [
            Recipe(f"retrofit-{task}-n{n}", f"heads added, n={n}", f"{task}-n1", changes, starts_from=trained.name),
            Recipe(
                f"retrofit-{task}-for-n{n}",
                f"n=1, {times:g} x the steps",
                f"{task}-n1",
                {"steps": STEPS[task]},
                times,
                starts_from=trained.name,
            ),
        ]
    return Part(task, task, tuple(found), minutes=minutes, watch=0.5)


STUDY = Study(
    name="retrofit",
    asks="do heads that are added to a trained next-token model bring a gain?",
    paper=(
        "Llama 2, 200 billion tokens of code (Table S6; MBPP, HumanEval pass@1): n=1 39.6, 31.4; n=4 with heads in the place of layers "
        "38.3, 27.9; with three layers more 42.5, 28.7; no significant gain. Here: models that learnt with n=1, then as many steps "
        "again with n=2 or n=4, heads on top, against n=1 with as much compute."
    ),
    parts=(part("chain", 0.9), part("route", 2.0)),
    measures=(SCORE,),
    claims=tuple(
        NoGain(
            text=f"on {task} added heads (n={n}) bring no gain over n=1 that is trained on with as much compute",
            source=TABLE_S6, measure=SCORE, matters=5.0, learnt=LEARNT[task],
            paper="MBPP 39.6 to 42.5 with three layers more" if n == 4 else "",
            candidate=f"retrofit-{task}-n{n}", baseline=f"retrofit-{task}-for-n{n}",
        )
        for task in ("route", "chain")
        for n in NS
    ),
    minutes=20.0,
    means=(
        "The tasks are those on which n=2 learns from the start what n=1 does not (`planning`): a gain here, where the paper finds none, "
        "says that a trained trunk can still be taught to look ahead, not that heads help a model of code."
    ),
    figure=panels("retrofit", "Greedy pass@1 after more training (bars: 95 % intervals), and learning curves.", (SCORE,), x=""),
)  # fmt: skip
