"""Tasks whose data come from the hub: read by the real `datasets` from files of the published schemas, and their errors.

A folder of the data set's name in the working folder is what `load_dataset(name)` reads, so nothing is replaced here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.sandbox.pool import Pool
from mtp_eval.tasks.registry import load_task, task_infos

FROM_HUB = ("gsm8k", "code-contests", "arc-challenge", "hellaswag", "piqa", "siqa", "copa")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, a cache of its own, and no network."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.delenv("MTP_EVAL_DATA", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def publish(
    folder: Path, name: str, config: str, splits: dict[str, list[dict[str, Any]]], features: Any, form: str = "parquet"
) -> None:
    """A data set as the hub holds it: a card that names its configs, and one file a split."""
    import datasets

    home = folder / name
    (home / config).mkdir(parents=True)
    files = ""
    for split, rows in splits.items():
        data = datasets.Dataset.from_list(rows, features=features)
        if form == "parquet":
            data.to_parquet(home / config / f"{split}.parquet")
        else:
            data.to_json(home / config / f"{split}.json")
        files += f"  - split: {split}\n    path: {config}/{split}.{form}\n"
    (home / "README.md").write_text(f"---\nconfigs:\n- config_name: {config}\n  data_files:\n{files}---\n")


def features_of(name: str) -> Any:
    """The columns as published."""
    from datasets import ClassLabel, Features, Sequence, Value

    text = Value("string")
    pair = ClassLabel(names=["0", "1"])
    pairs = Sequence({"input": text, "output": text})
    return Features(
        {
            "arc-challenge": {
                "id": text,
                "question": text,
                "choices": Sequence({"text": text, "label": text}),
                "answerKey": text,
            },
            "hellaswag": {
                "ind": Value("int32"),
                "activity_label": text,
                "ctx_a": text,
                "ctx_b": text,
                "ctx": text,
                "endings": Sequence(text),
                "source_id": text,
                "split": text,
                "split_type": text,
                "label": text,
            },
            "piqa": {"goal": text, "sol1": text, "sol2": text, "label": pair},
            "siqa": {
                "context": text,
                "question": text,
                "answerA": text,
                "answerB": text,
                "answerC": text,
                "label": text,
            },
            "copa": {
                "premise": text,
                "choice1": text,
                "choice2": text,
                "question": text,
                "idx": Value("int32"),
                "label": pair,
            },
            "code-contests": {
                "name": text,
                "description": text,
                "public_tests": pairs,
                "private_tests": pairs,
                "generated_tests": pairs,
                "source": ClassLabel(names=["UNKNOWN_SOURCE", "CODECHEF", "CODEFORCES"]),
                "solutions": Sequence(
                    {
                        "language": ClassLabel(names=["UNKNOWN_LANGUAGE", "PYTHON", "CPP", "PYTHON3", "JAVA"]),
                        "solution": text,
                    }
                ),
            },
            "gsm8k": {"question": text, "answer": text},
            "mbpp": {
                "task_id": Value("int32"),
                "text": text,
                "code": text,
                "test_list": Sequence(text),
                "test_setup_code": text,
                "challenge_test_list": Sequence(text),
            },
        }[name]
    )


ROWS: dict[str, tuple[str, str, str, dict[str, Any], tuple[str, tuple[str, ...], int]]] = {
    "arc-challenge": (
        "allenai/ai2_arc",
        "ARC-Challenge",
        "test",
        {
            "id": "x_1",
            "question": "What melts?",
            "choices": {"text": ["rock", "ice", "air"], "label": ["A", "B", "C"]},
            "answerKey": "B",
        },
        ("Question: What melts?\nAnswer:", (" rock", " ice", " air"), 1),
    ),
    "hellaswag": (
        "Rowan/hellaswag",
        "default",
        "validation",
        {
            "ind": 1,
            "activity_label": "Rowing",
            "ctx_a": "Two people sit in a boat.",
            "ctx_b": "they",
            "ctx": "Two people sit in a boat. they",
            "endings": ["row.", "fly.", "read [substeps] books.", "sleep."],
            "source_id": "a~1",
            "split": "val",
            "split_type": "indomain",
            "label": "0",
        },
        ("Rowing: Two people sit in a boat. They", (" row.", " fly.", " read books.", " sleep."), 0),
    ),
    "piqa": (
        "baber/piqa",
        "default",
        "validation",
        {"goal": "Dry a shirt", "sol1": "Bury it.", "sol2": "Hang it.", "label": 1},
        ("Question: Dry a shirt\nAnswer:", (" Bury it.", " Hang it."), 1),
    ),
    "siqa": (
        "lighteval/siqa",
        "default",
        "validation",
        {
            "context": "Bo sang.",
            "question": "Why?",
            "answerA": "sad",
            "answerB": "glad",
            "answerC": "late",
            "label": "2",
        },
        ("Q: Bo sang. Why?\nA:", (" sad", " glad", " late"), 1),
    ),
    "copa": (
        "aps/super_glue",
        "copa",
        "validation",
        {
            "premise": "The cup broke.",
            "choice1": "It fell.",
            "choice2": "It was full.",
            "question": "cause",
            "idx": 0,
            "label": 0,
        },
        ("The cup broke because", (" it fell.", " it was full."), 0),
    ),
}


@pytest.mark.parametrize("form", ["parquet", "json"])
@pytest.mark.parametrize("name", list(ROWS))
def test_multiple_choice_through_datasets(hub, name, form):
    published, config, split, row, (prompt, choices, answer) = ROWS[name]
    publish(hub, published, config, {split: [row, row]}, features_of(name), form)
    first, second = load_task(name).problems()
    assert (first.prompt, first.choices, int(first.tags["answer"])) == (prompt, choices, answer)
    assert second.problem_id == f"{name}/1"


def test_code_contests_through_datasets(hub):
    row = {
        "name": "1_A. Sum",
        "description": "Add two numbers.",
        "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
        "private_tests": {"input": ["5 5\n", "0 1\n"], "output": ["10\n", "1\n"]},
        "generated_tests": {"input": [], "output": []},
        "source": 2,
        "solutions": {"language": [2, 3], "solution": ["int main(){}", "print(sum(map(int, input().split())))"]},
    }
    publish(hub, "deepmind/code_contests", "default", {"test": [row]}, features_of("code-contests"))
    task: Any = load_task("code-contests")
    (problem,) = task.problems()
    assert problem.problem_id == "code-contests/1_A. Sum"
    programs = [task.judge(problem, text) for text in (problem.reference, "print(3)")]
    assert len(programs[0].stdin_cases) == 3
    with Pool(workers=1) as pool:
        assert [outcome.passed for outcome in pool.run(programs)] == [True, False]


def test_gsm8k_through_datasets_is_the_file(hub, shared_data, monkeypatch):
    import gzip

    text = gzip.decompress((shared_data / "tasks" / "gsm8k-test.jsonl.gz").read_bytes()).decode()
    rows = [json.loads(line) for line in text.splitlines()]
    publish(hub, "openai/gsm8k", "main", {"test": rows}, features_of("gsm8k"))
    through_hub = load_task("gsm8k")
    from_file = load_task("gsm8k", data_dir=shared_data / "tasks")
    assert through_hub.problems() == from_file.problems()
    assert through_hub.data_sha256 == from_file.data_sha256


def test_mbpp_through_datasets_is_the_file(hub, shared_data):
    rows = [json.loads(line) for line in (shared_data / "tasks" / "mbpp.jsonl").read_text().splitlines()]
    splits = {"prompt": rows[:10], "test": rows[10:510], "validation": rows[510:600], "train": rows[600:]}
    publish(hub, "google-research-datasets/mbpp", "full", splits, features_of("mbpp"))
    through_hub = load_task("mbpp")
    from_file = load_task("mbpp", data_dir=shared_data / "tasks")
    assert through_hub.problems() == from_file.problems()
    assert through_hub.data_sha256 == from_file.data_sha256


def test_another_version_on_the_hub_is_refused(hub):
    publish(hub, "openai/gsm8k", "main", {"test": [{"question": "1+1?", "answer": "2 #### 2"}]}, features_of("gsm8k"))
    with pytest.raises(ValueError, match="another version"):
        load_task("gsm8k")


@pytest.mark.slow
def test_offline_each_says_in_one_line_how_to_get_it(tmp_path):
    code = (
        "import sys; from mtp_eval.tasks.registry import load_task\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n        load_task(name)\n"
        "    except ValueError as error:\n        print(error)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "MTP_EVAL_DATA"}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": os.fspath(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, *FROM_HUB],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(FROM_HUB), done.stdout
    for name, line in zip(FROM_HUB, lines, strict=True):
        file = {"gsm8k": "gsm8k-test.jsonl.gz"}.get(name, f"{name}.jsonl")
        assert re.search(rf"put {re.escape(file)} into a folder", line), line
        assert "HF_HUB_OFFLINE=1 answers at once" in line
        assert "network" in line
        assert "MTP_EVAL_DATA" in line


def test_the_tasks_that_need_the_hub_are_these():
    needing = {info.name for info in task_infos() if info.source.hub and not info.name.startswith("mbpp")}
    assert needing == {*FROM_HUB, "bigcodebench"}
