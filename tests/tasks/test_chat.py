"""Protocols @chat: a whole program is asked for, begun or not, and judged by the same tests."""

from __future__ import annotations

import pytest

from mtp_eval.sandbox import Pool, Program
from mtp_eval.tasks.registry import load_task

TASKS = ("humaneval", "humaneval-plus", "mbpp", "mbpp-sanitized", "mbpp-plus")
ALONE = '''Please provide a self-contained Python script that solves the following problem in a markdown code block:
```python
"""
Write a python function to remove first and last occurrence of a given character from the string.
assert remove_Occ("hello","l") == "heo"
"""
```'''


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_answers_that_were_begun_and_answers_that_were_not_give_the_reference(
    name: str, benchmark_data: object
) -> None:
    """Five references as a chat model writes them: going on inside the block, with a closing fence, and in a block of its own."""
    task = load_task(f"{name}@chat")
    problems = task.problems()[:5]
    programs = []
    for problem in problems:
        begun = problem.reference.rstrip() + "\n"
        for text in (
            begun,
            f"{begun}```\nThis works.",
            f"Sure!\n\n```python\n{begun}```\n\n```bash\npython x.py\n```\n",
        ):
            judged = task.judge(problem, text)
            assert isinstance(judged, Program)
            programs.append(judged)
    with Pool(workers=2) as pool:
        outcomes = list(pool.run(programs))
    assert [str(outcome.verdict) for outcome in outcomes] == ["passed"] * len(programs)


def test_the_question_is_evalplus_s(benchmark_data: object) -> None:
    problem = load_task("mbpp@chat").problems()[0]
    assert problem.chat is not None
    assert problem.chat.question_alone == ALONE
    assert problem.chat.question == ALONE.replace("```python", "```") + "\n"
    assert problem.chat.text == problem.prompt
    assert "\n```\n" in problem.stop
    assert problem.max_new_tokens == 768
