"""Processes that share a model write what one writes: two over gloo, as torchrun would start them."""

from __future__ import annotations

import json
import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.convert import huggingface
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.results import read_run
from tests.extras import needs
from tests.forked import command, run

needs("transformers", "hf")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

QUESTIONS = [{"prompt": f"Q{i}:", "choices": [" yes", " no", " perhaps"], "answer": i % 3} for i in range(6)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shape = ModelConfig(vocab_size=264, d_model=32, n_layers=3, n_heads=4, n_kv_heads=2, d_ff=48, context_length=1024)
    huggingface.write(tmp_path / "model", shape, dict(new_model(shape, 0).state_dict()), ByteTokenizer())
    (tmp_path / "arc-challenge.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS))
    return tmp_path


def in_two(*arguments: str, cwd: Path) -> tuple[list[int], str, str]:
    """`mtp-eval` in two processes: exit codes, output, and what was said."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        common = {
            **os.environ,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(probe.getsockname()[1]),
            "WORLD_SIZE": "2",
        }
    with ExitStack() as stack:
        started = [
            stack.enter_context(command(*arguments, cwd=cwd, environment={**common, "RANK": rank, "LOCAL_RANK": rank}))
            for rank in "01"
        ]
        codes = [process.wait() for process in started]
        return codes, "".join(p.output for p in started), "".join(p.errors for p in started)


def test_texts_likelihoods_and_identity_are_those_of_one_process(folder: Path) -> None:
    asked = [
        "run", "--model", f"hf:{folder / 'model'}", "--task", "humaneval,arc-challenge", "--limit", "6",
        "--temperature", "0,0.8", "--dtype", "float64", "--max-new-tokens", "24", "--batch-size", "8", "--data-dir", str(folder),
    ]  # fmt: skip
    alone = run(*asked, "--out", "alone", cwd=folder)
    assert alone.returncode == 0, alone.stderr
    codes, output, errors = in_two(*asked, "--out", "shared", cwd=folder)
    assert codes == [0, 0], errors
    assert output == alone.stdout  # the table, once
    made = [read_run(folder / name) for name in ("alone", "shared")]
    texts = [
        {
            (r.task, r.problem_id, r.temperature): (r.completion.text, r.completion.n_tokens, r.verdict)
            for r in each.records()
        }
        for each in made
    ]
    choices = [{key: json.loads(found.pop(key)[0]) for key in [*found] if key[0] == "arc-challenge"} for found in texts]
    assert texts[0] == texts[1]
    assert all(nats == pytest.approx(choices[1][key], abs=1e-9) for key, nats in choices[0].items())
    assert len(texts[0]) == len(choices[0]) == 12
    headers = [json.loads((folder / name / "run.json").read_text()) for name in ("alone", "shared")]
    models = [next(iter(header["models"].values())) for header in headers]
    assert models[0]["sha256"] == models[1]["sha256"]
    assert models[0]["parameters"] == models[1]["parameters"]
    assert models[1]["tensor_parallel"] == 2
    assert headers[0]["config_sha256"] == headers[1]["config_sha256"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "hf:model", "--decode", "self-speculative"], "does not draft while"),
        (["--model", "hf:model", "--device", "cpu"], "leave the option out"),
        (["--model", "hf:nothing/here.gguf"], "no such file"),
        (["--model", "openai:http://localhost:9/v1#m"], "and nothing else"),
        (["--model", "hf:model", "--cluster", "auto"], "and nothing else"),
    ],
)
def test_what_cannot_be_shared_is_said_once(arguments: list[str], said: str, folder: Path) -> None:
    codes, _, errors = in_two("run", *arguments, "--task", "humaneval", cwd=folder)
    assert codes[0] == 2
    assert said in errors
