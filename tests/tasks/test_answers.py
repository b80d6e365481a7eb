"""Exact answers, multiple choice, tasks of TOML files and of plug-ins, and what bad input is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.sandbox.pool import Pool
from mtp_eval.tasks.registry import here, load_task, task_infos, task_names

# --- GSM8K ---


@pytest.mark.parametrize(
    ("completion", "last", "strict"),
    [
        (" 16 - 3 - 4 = 9. 9 * 2 = 18. The answer is 18.", True, True),
        (" The answer is $18.00.", True, True),
        (" The answer is 18. \n\nQ: What is 3?\nA: The answer is 3.", True, True),
        (" It is 18", True, False),
        (" The answer is 18 because 9 times 2.", False, True),
        (" The answer is 1,8", True, True),
        (" eighteen", False, False),
        ("", False, False),
        (" The answer is 180.", False, False),
        (" The answer is -18.", False, False),
    ],
)
def test_gsm8k_answers(benchmark_data, completion, last, strict):
    for protocol, wanted in (("8shot-cot", last), ("8shot-cot-strict", strict)):
        task = load_task(f"gsm8k@{protocol}")
        assert task.judge(task.problems()[0], completion).passed is wanted


def test_gsm8k_references_are_judged_right_by_both_protocols(benchmark_data):
    for protocol in ("8shot-cot", "8shot-cot-strict"):
        task = load_task(f"gsm8k@{protocol}")
        assert len(task.problems()) == 1319
        assert all(task.judge(problem, problem.reference).passed for problem in task.problems())


# --- multiple choice: one row of each published schema ---

ROWS = {
    "arc-challenge": (
        {"question": "2+2?", "choices": {"label": ["1", "2"], "text": ["three", "four"]}, "answerKey": "2"},
        ("Question: 2+2?\nAnswer:", (" three", " four"), 1),
    ),
    "hellaswag": (
        {
            "activity_label": "Baking",
            "ctx_a": "A cook stands.",
            "ctx_b": "he",
            "endings": ["sings [title] aloud.", "bakes."],
            "label": "1",
        },
        ("Baking: A cook stands. He", (" sings. aloud.", " bakes."), 1),
    ),
    "piqa": (
        {"goal": "Open a jar", "sol1": "twist", "sol2": "sing", "label": 0},
        ("Question: Open a jar\nAnswer:", (" twist", " sing"), 0),
    ),
    "siqa": (
        {
            "context": "Al fell.",
            "question": "How is Al?",
            "answerA": "hurt",
            "answerB": "tall",
            "answerC": "red",
            "label": "1",
        },
        ("Q: Al fell. How is Al?\nA:", (" hurt", " tall", " red"), 0),
    ),
    "copa": (
        {
            "premise": "It rained.",
            "question": "effect",
            "choice1": "The road got wet.",
            "choice2": "The sun rose.",
            "label": 0,
        },
        ("It rained therefore", (" the road got wet.", " the sun rose."), 0),
    ),
}


@pytest.mark.parametrize("name", list(ROWS))
def test_each_set_reads_its_published_rows(tmp_path, name):
    row, (prompt, choices, answer) = ROWS[name]
    (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    (problem,) = load_task(name, data_dir=tmp_path).problems()
    assert (problem.prompt, problem.choices, int(problem.tags["answer"])) == (prompt, choices, answer)


def test_sum_and_per_character_differ_where_lengths_do(tmp_path):
    row = {"prompt": "x", "choices": ["ab", "abcdefgh"], "answer": 1}
    (tmp_path / "piqa.jsonl").write_text(json.dumps(row) + "\n")
    by_sum, by_length = (load_task(f"piqa@{p}", data_dir=tmp_path) for p in ("sum", "acc_norm"))
    assert by_sum.needs == "likelihood"
    (problem,) = by_sum.problems()
    assert not by_sum.judge(problem, "[-2.0, -4.0]").passed
    assert by_length.judge(problem, "[-2.0, -4.0]").passed
    assert not by_sum.judge(problem, "").passed


def test_a_broken_question_names_file_and_row(tmp_path):
    (tmp_path / "copa.jsonl").write_text('{"prompt": "x", "choices": ["a"], "answer": 3}\n')
    with pytest.raises(ValueError, match=r"copa\.jsonl, row 1: .*answer 3 of 1 choices"):
        load_task("copa", data_dir=tmp_path)


# --- TOML and plug-ins ---

TOML = """
name = "squares"
protocol = "0shot"
data = "squares.jsonl"
id = "squares/{id}"
prompt = "# {text}\\ndef {function}(x):\\n"
prefix = "def {function}(x):\\n"
reference = "    return {body}\\n"
tests = "{asserts}"
entry_point = "{function}"
stop = ["\\ndef "]
tags = ["level"]
report_by = "level"
"""


def write_toml_task(folder: Path, text: str = TOML) -> Path:
    row = {
        "id": 1,
        "text": "square x",
        "function": "sq",
        "body": "x * x",
        "asserts": ["assert sq(3) == 9", "assert sq(0) == 0"],
        "level": 1,
    }
    (folder / "squares.jsonl").write_text(json.dumps(row) + "\n")
    (folder / "squares.toml").write_text(text)
    return folder / "squares.toml"


def test_a_toml_task_runs(tmp_path):
    task: Any = load_task(str(write_toml_task(tmp_path)))
    (problem,) = task.problems()
    assert task.protocol == "squares@0shot"
    assert problem.prompt == "# square x\ndef sq(x):\n"
    assert problem.tags == {"level": "1"}
    with Pool(workers=1) as pool:
        outcomes = list(pool.run([task.judge(problem, problem.reference), task.judge(problem, "    return x\n")]))
    assert [outcome.passed for outcome in outcomes] == [True, False]


def test_a_toml_task_with_an_answer_is_compared(tmp_path):
    text = TOML.replace('tests = "{asserts}"', 'answer = "{level}"')
    task = load_task(str(write_toml_task(tmp_path, text)))
    assert task.votes
    assert task.judge(task.problems()[0], " 1\n").passed
    assert not task.judge(task.problems()[0], "2").passed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('id = "squares/{id}"', 'id = "{number}"'), "names the field 'number'"),
        (('data = "squares.jsonl"', 'data = "no.jsonl"'), "is not there"),
        (('tests = "{asserts}"', ""), "give either tests"),
        (('name = "squares"', 'naem = "squares"'), "unknown key naem"),
        (('protocol = "0shot"', 'sha256 = "abc"'), "expected the published file with sha256 abc"),
        (("tags =", "tags = ["), "cannot be read as TOML"),
    ],
)
def test_a_toml_task_that_is_wrong_says_what(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        load_task(str(write_toml_task(tmp_path, TOML.replace(*change))))


def test_a_plug_in_task_is_found_by_its_entry_point(tmp_path, monkeypatch):
    """A distribution with an entry point, as pip would install it."""
    (tmp_path / "echo_task.py").write_text(
        "from mtp_eval.tasks.base import ExactMatchTask\n"
        "from mtp_eval.tasks.problem import Problem\n"
        "class Echo(ExactMatchTask):\n"
        "    def __init__(self, name, protocol=None, *, data_dir=None, extract=None):\n"
        "        super().__init__(name, protocol or '0shot', [Problem('echo/0', 'a', 'a')], extract=extract)\n"
    )
    info = tmp_path / "echo_task-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: echo-task\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mtp_eval.tasks]\necho = echo_task:Echo\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert "echo" in task_names()
    assert load_task("echo").problems()[0].prompt == "a"


# --- data ---


def test_a_wrong_checksum_and_a_broken_line_are_one_clear_error(tmp_path, benchmark_data):
    text = (benchmark_data / "mbpp.jsonl").read_text().splitlines()
    (tmp_path / "mbpp.jsonl").write_text("\n".join(text).replace("minimum cost", "maximum cost", 1))
    with pytest.raises(
        ValueError, match=r"mbpp\.jsonl: expected the published file with sha256 ccf64ceae9c5403b.*another version"
    ):
        load_task("mbpp", data_dir=tmp_path)
    (tmp_path / "mbpp.jsonl").write_text("\n".join([*text[:6], text[6][:50], *text[7:]]))
    with pytest.raises(ValueError, match="line 7: not JSON"):
        load_task("mbpp", data_dir=tmp_path)


@pytest.mark.slow
def test_missing_data_says_the_ways_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("MTP_EVAL_DATA", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(
        ValueError, match=r"--data-dir FOLDER; or set MTP_EVAL_DATA=FOLDER; or let the `datasets` package"
    ):
        load_task("mbpp")
    with pytest.raises(ValueError, match=r"MbppPlus.jsonl.gz not found.*published at https"):
        load_task("mbpp-plus")
    with pytest.raises(ValueError, match=r"--data-dir names .*nowhere, which is not a folder"):
        load_task("mbpp", data_dir=tmp_path / "nowhere")


@pytest.mark.slow
def test_the_hubs_rows_are_the_files_rows(benchmark_data, monkeypatch):
    """A stand-in for the hub serves the published rows by split; the loader must recognise them, and changed ones."""
    import datasets

    rows = [json.loads(line) for line in (benchmark_data / "mbpp.jsonl").read_text().splitlines()]
    splits = {"prompt": rows[:10], "test": rows[10:510], "validation": rows[510:600], "train": rows[600:]}
    monkeypatch.setattr(datasets, "load_dataset", lambda name, config, split: splits[split])
    from_file = load_task("mbpp")
    monkeypatch.delenv("MTP_EVAL_DATA")
    from_hub = load_task("mbpp")
    assert from_hub.problems() == from_file.problems()
    assert from_hub.data_sha256 == from_file.data_sha256
    splits["test"] = [{**rows[10], "text": "another"}, *rows[11:510]]
    with pytest.raises(ValueError, match="another version"):
        load_task("mbpp")


@pytest.mark.slow
def test_every_listed_size_is_true(benchmark_data):
    for info in task_infos():
        if here(info) not in ("here", "generated") or info.name.endswith("-plus"):
            continue
        assert len(load_task(info.name).problems()) == info.size, info.name
