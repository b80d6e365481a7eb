"""`mtp-eval train`, `data check`, `presets`, `convert` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import checkpoint_info, load_checkpoint
from mtp_eval.tasks.errors import TaskError

SMALL = ["--set", "model.d_model=32", "--set", "batch_size=2", "--set", "log_every=1", "--set", "device=cpu"]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
def test_a_task_preset_becomes_a_checkpoint_and_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "ckpt"
    command = ["train", "listops-n4", "--set", "steps=3", "--seed", "5", *SMALL, "--out", str(out)]
    assert run(*command).strip().endswith(str(out))
    info = checkpoint_info(out)
    assert info.training["seed"] == 5
    assert info.training["step"] == 3
    assert info.training["config"]["model"]["n_future"] == 4
    assert info.training["data"]["source"] == "task:listops"
    assert info.training["provenance"]["versions"]["torch"]
    assert set(info.training["size"]) == set(info.training["baseline_size"])
    with pytest.raises(InputError, match="--resume"):
        run(*command)
    run(*command, "--resume")


def test_corpus_names_the_text_that_is_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTP_EVAL_CACHE", str(tmp_path / "cache"))
    for name in ("ä, b.txt", "c.txt"):
        (tmp_path / name).write_text("once upon a time there was a line\n" * 400)
    corpus = [item for name in ("ä, b.txt", "c.txt") for item in ("--corpus", str(tmp_path / name))]
    run("train", "code-tiny-n1", *corpus, "--set", "steps=1", *SMALL, "--out", str(tmp_path / "ckpt"))
    assert checkpoint_info(tmp_path / "ckpt").training["config"]["data"]["sources"] == corpus[1::2]
    with pytest.raises(InputError, match="nowhere"):
        run("train", "code-tiny-n1", "--corpus", "nowhere", *SMALL, "--out", str(tmp_path / "other"))


@pytest.mark.slow
def test_own_files_with_a_trained_bpe_and_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTP_EVAL_CACHE", str(tmp_path / "cache"))
    rows = [{"text": f"def f{i}(x):\n    return x + {i}\n"} for i in range(400)]
    (tmp_path / "code.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = tmp_path / "mine.toml"
    config.write_text(
        f"""
        preset = "code-tiny-n4"
        steps = 2
        [model]
        context_length = 32
        [data]
        sources = ["{tmp_path}/*.jsonl"]
        tokenizer = "bpe:300"
        """
    )
    fingerprints = set()
    for name in ("a", "b"):
        run("train", str(config), *SMALL, "--out", str(tmp_path / name))
        fingerprints.add(checkpoint_info(tmp_path / name).training["data"]["fingerprint"])
    assert len(fingerprints) == 1
    assert len(list((tmp_path / "cache" / "corpora").iterdir())) == 1, "tokenised once"
    checkpoint = load_checkpoint(tmp_path / "a")
    assert checkpoint.tokenizer.name == "bpe-300"
    assert checkpoint.model.lm_head.weight.shape[0] == 300
    rows.append({"text": "one more"})
    (tmp_path / "code.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run("train", str(config), *SMALL, "--out", str(tmp_path / "c"))
    assert len(list((tmp_path / "cache" / "corpora").iterdir())) == 2, "changed text is tokenised anew"


def test_overlap_is_reported_and_dropped(tmp_path: Path, benchmark_data: Path) -> None:
    from mtp_eval.tasks.registry import load_task

    problem = load_task("humaneval").problems()[0]
    (tmp_path / "leak.py").write_text(problem.prompt + problem.reference)
    (tmp_path / "clean.py").write_text("print('nothing to see here')\n" * 5)
    output = run("data", "check", str(tmp_path), "--task", "humaneval", "--out", str(tmp_path / "kept.jsonl"))
    assert "2 documents read, 1 share 13 tokens" in output
    assert "100% of humaneval/HumanEval/0 in leak.py" in output
    (kept,) = (json.loads(line) for line in (tmp_path / "kept.jsonl").read_text().splitlines())
    assert kept["name"] == "clean.py"


@pytest.mark.slow
def test_decontamination_while_training(tmp_path: Path, benchmark_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mtp_eval.tasks.registry import load_task

    monkeypatch.setenv("MTP_EVAL_CACHE", str(tmp_path / "cache"))
    problem = load_task("humaneval").problems()[0]
    for i in range(30):
        (tmp_path / f"file{i}.py").write_text(f"x = {i}\n" * 30)
    (tmp_path / "leak.py").write_text(problem.prompt + problem.reference)
    counts = {}
    for name, tasks in (("all", "[]"), ("clean", '["humaneval"]')):
        sets = [f'data.sources=["{tmp_path}/*.py"]', f"data.decontaminate={tasks}", "data.holdout=0", "steps=1"]
        options = [item for value in sets for item in ("--set", value)]
        run("train", "code-tiny-n1", *options, *SMALL, "--out", str(tmp_path / name))
        counts[name] = checkpoint_info(tmp_path / name).training["data"]["train"]["documents"]
    assert counts == {"all": 31, "clean": 30}


def test_presets_are_listed_with_their_sizes() -> None:
    lines = run("presets").splitlines()
    (row,) = (line for line in lines if line.startswith("code-tiny-n4 "))
    assert "1,255,040" in row
    assert "2+4" in row


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nonsense"], "no preset 'nonsense'"),
        (["train", "listops-n1", "--set", "steps"], "--set takes key=value"),
        (["train", "listops-n1", "--set", "steps=0"], "steps: Input should be greater than 0"),
        (["train", "listops-n4", "--set", "model.n_layers=4"], "cannot be matched by params"),
        (["train", "paper-0.3B-n4", "--set", "data.tokenizer=bytes"], "names no training text"),
        (["train", "listops-n1", "--set", 'data.sources=["task:mbpp"]'], "makes no training text"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], message: str, tmp_path: Path, benchmark_data: Path) -> None:
    with pytest.raises((InputError, TaskError), match=message):
        run(*arguments, "--out", str(tmp_path / "out"))
