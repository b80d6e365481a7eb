"""Rules that look at one trial with as many heads as there may be, and keep those from the first on that pass a test.

`foresight`   the head foresees its token nearly as well as head 1 does the next one, and the trunk keeps half of its layers
`gain`        the head's held-out loss is below that of the best guess without a model: by frequency, and by pairs of tokens
`agreement`   the head's gradient points the way of head 1's at the trunk (the idea of arXiv 1812.02224)

n is the largest candidate all of whose heads pass. Every test is a t-test over groups of held-out text (or of rows), and may say neither
that a head passes nor that it fails; where that is so of head 2, or the share allows too few steps, the default is taken.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from mtp_eval.harness.training.choice.baselines import baseline_nats
from mtp_eval.harness.training.choice.rule import (
    LEAST_STEPS,
    Bench,
    Choice,
    Rule,
    in_json,
    over_groups,
    roomy,
    steps_within,
    told,
)
from mtp_eval.harness.training.choice.trial import Trial
from mtp_eval.harness.training.choice.trunk import agreement, look_steps

FORESEEN = 0.7
"""Of head 1's gain: chosen on route and on code, before other tasks were looked at."""


class HeadsKept(Rule):
    """The frame of both."""

    needs: str
    """What a head must have, in words."""

    def most(self, bench: Bench) -> int:
        """The n of the trial."""
        return max(bench.n_futures)

    def n_looks(self, trial: Trial) -> float:
        """What the look costs, in training steps."""
        return 1.0

    @abstractmethod
    def passed(self, trial: Trial) -> tuple[list[bool | None], dict[str, Any]]:
        """Whether each head passes, None where that cannot be told, and what was measured; head 1 always does."""

    def choose(self, bench: Bench) -> Choice:
        """The largest candidate of which all heads pass."""
        default, most = bench.config.choice.otherwise, self.most(bench)
        if most == 1:
            return Choice(1, None, False, "n=1: no candidate with a second head leaves room for it")
        trial = bench.trial(most)
        n_steps = steps_within(trial, bench.flops_left, n_looks=self.n_looks(trial))
        if n_steps < LEAST_STEPS:
            why = f"n={default}, the default: the share allows {n_steps} steps, too few to see anything"
            return Choice(default, None, False, why, {"steps": n_steps})
        trial.train_to(n_steps)
        passed, evidence = self.passed(trial)
        kept = next((i for i, ok in enumerate(passed) if not ok), most)
        evidence = {"steps": n_steps, "passed": passed, **evidence}
        if kept == 1 and passed[1] is None:
            why = f"n={default}, the default: {n_steps} steps do not tell whether head 2 has {self.needs}"
            return Choice(default, None, False, why, evidence)
        found = max((n for n in bench.n_futures if n <= kept), default=min(bench.n_futures))
        return Choice(
            found, None, True, f"of {most} heads the first {kept} have {self.needs} after {n_steps} steps", evidence
        )


class Gain(HeadsKept):
    """n by the heads that know more than pairs of tokens do."""

    needs = "a held-out loss below that of frequencies and of pairs of tokens"

    def passed(self, trial: Trial) -> tuple[list[bool | None], dict[str, Any]]:
        """Against both baselines: passed below each, failed above one."""
        nats_KN = trial.held_out_nats()
        alone_KN, paired_KN = baseline_nats(trial)
        passed: list[bool | None] = [True]
        for i in range(1, trial.n_future):
            found = [told(nats_KN[:, i], other_KN[:, i]) for other_KN in (alone_KN, paired_KN)]
            passed.append(False if False in found else None if None in found else True)
        named = (("nats", nats_KN), ("by_frequency", alone_KN), ("by_pairs", paired_KN))
        return passed, {name: in_json(over_groups(of_KN)) for name, of_KN in named}


class Foresight(HeadsKept):
    """n by the heads that foresee their tokens nearly as well as head 1 foresees the next one.

    A head's gain is what its loss is below that by frequency, at its own distance. Where a later token is as easy to foresee as
    the next one, the text was decided further ahead than one token: a second head then teaches the trunk what head 1 has to know
    as well. Where the gain falls off, as in ordinary text, the head learns what cannot be known yet, and takes a layer for it.
    """

    needs = f"a gain over frequencies of at least {FORESEEN:g} of head 1's, and a trunk of at least half of the layers"

    def most(self, bench: Bench) -> int:
        """The largest n that leaves the trunk half of the layers."""
        return roomy(bench.config, bench.n_futures, bench.material.vocab_size)

    def passed(self, trial: Trial) -> tuple[list[bool | None], dict[str, Any]]:
        """A head's gain against so much of head 1's; nothing can be told where head 1 itself has none."""
        nats_KN = trial.held_out_nats()
        alone_KN, paired_KN = baseline_nats(trial)
        gains_KN = alone_KN - nats_KN  # NaN for a head that has no target where head 1 has one
        gains_N = over_groups(gains_KN)
        learnt = told(nats_KN[:, 0], alone_KN[:, 0])

        def foresees(i: int) -> bool | None:
            if not learnt:
                return None
            return False if np.isnan(gains_N[i]) else told(FORESEEN * gains_KN[:, 0], gains_KN[:, i])

        passed = [True, *(foresees(i) for i in range(1, trial.n_future))]
        shares_N = gains_N / gains_N[0] if learnt else np.full(trial.n_future, np.nan)
        named = (
            ("nats", over_groups(nats_KN)),
            ("by_frequency", over_groups(alone_KN)),
            ("by_pairs", over_groups(paired_KN)),
            ("foreseen", shares_N),
        )
        return passed, {name: in_json(values_N) for name, values_N in named}


class Agreement(HeadsKept):
    """n by the heads whose gradients agree with head 1's."""

    needs = "a gradient that agrees with head 1's"

    def n_looks(self, trial: Trial) -> float:
        """Each head's gradient goes through the trunk by itself."""
        return look_steps(trial)

    def passed(self, trial: Trial) -> tuple[list[bool | None], dict[str, Any]]:
        """By the cosine, against 0."""
        cosines_KN = agreement(trial)
        zero_K = np.zeros(len(cosines_KN))
        passed = [True, *(told(zero_K, cosines_KN[:, i]) for i in range(1, trial.n_future))]
        return passed, {"cosines": in_json(over_groups(cosines_KN))}
