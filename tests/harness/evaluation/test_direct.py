"""Tasks that are judged without being executed, through the run loop, with a real model."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from mtp_eval.harness.backends.base import Call
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.execution import ExecutionOptions
from mtp_eval.harness.evaluation.references import judge_task_references
from mtp_eval.tasks.problem import Request
from mtp_eval.tasks.registry import load_task


@pytest.fixture(scope="module")
def backend():
    from mtp_eval.harness.backends.native import NativeBackend
    from mtp_eval.harness.models.config import ModelConfig
    from mtp_eval.harness.models.initialize import new_model
    from mtp_eval.harness.models.tokenizers import ByteTokenizer

    config = ModelConfig(vocab_size=264, d_model=16, n_layers=3, n_heads=2, d_ff=32, context_length=64, n_future=2)
    return NativeBackend.of_model(new_model(config, seed=0), ByteTokenizer(), "tiny")


def requests_for(task):
    return [Request(p.problem_id, 0, p.prompt, 0, p.stop, p.max_new_tokens or 8) for p in task.problems()]


def call_of(task):
    return Call(tuple(requests_for(task)), DecodingSettings(), {p.problem_id: p.choices for p in task.problems()})


def test_likelihoods_are_the_sums_of_head_ones_log_probabilities(tmp_path: Path, backend):
    """The oracle is the model's plain forward without a cache."""
    import torch

    rows = [
        {"prompt": "ab", "choices": [" c", " dd", ""], "answer": 1},
        {"prompt": "", "choices": ["x", "y"], "answer": 0},
    ]
    rows[0]["choices"] = [" c", " dd"]
    (tmp_path / "piqa.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = load_task("piqa", data_dir=tmp_path)
    found = {c.problem_id: json.loads(c.text) for c in backend.complete(call_of(task))}
    for problem in task.problems():
        for choice, nats in zip(problem.choices, found[problem.problem_id], strict=True):
            tokens = [256, *(problem.prompt + choice).encode()]
            with torch.no_grad():
                logp_TV = backend.model(torch.tensor([tokens]))[0][0].log_softmax(-1)
            first = len(tokens) - len(choice.encode())
            expected = sum(float(logp_TV[at - 1, tokens[at]]) for at in range(first, len(tokens)))
            assert math.isclose(nats, expected, rel_tol=1e-4), (choice, nats, expected)
        best = max(range(len(problem.choices)), key=lambda i: found[problem.problem_id][i])
        judgement = task.judge(problem, json.dumps(found[problem.problem_id]))
        assert judgement.passed is (best == int(problem.tags["answer"]))


def test_a_backend_without_likelihoods_is_refused(tmp_path: Path):
    from mtp_eval.harness.backends.samples import SamplesBackend

    (tmp_path / "piqa.jsonl").write_text('{"prompt": "a", "choices": ["b", "c"], "answer": 0}\n')
    (tmp_path / "samples.jsonl").write_text('{"task_id": "piqa/0", "completion": "b"}\n')
    task = load_task("piqa", data_dir=tmp_path)
    backend = SamplesBackend(tmp_path / "samples.jsonl")
    with pytest.raises(InputError, match="gives no likelihoods, by which this task compares choices"):
        list(backend.complete(call_of(task)))


def test_exact_answers_are_judged_without_a_sandbox():
    task = load_task("stargraph", size=20)
    problem = task.problems()[0]
    right, wrong = (task.judge(problem, text) for text in (problem.reference, "??"))
    assert right.passed
    assert not wrong.passed
    assert "expected" in wrong.error
    with ExecutionOptions(workers=1).open() as executor:
        assert judge_task_references(task, task.problems(), executor).failures == ()
