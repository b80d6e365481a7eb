"""LiveCodeBench, BigCodeBench and MultiPL-E, on rows of their schemas that were written for this test."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.evaluation.judging import judge_all
from mtp_eval.sandbox import Pool
from mtp_eval.tasks.errors import DataError, TaskOptionError
from mtp_eval.tasks.registry import load_task


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def verdicts(task: Any, texts: list[str]) -> list[bool]:
    with Pool(workers=1, timeout_seconds=10.0) as pool:
        return [outcome.passed for outcome in judge_all([task.judge(task.problems()[0], text) for text in texts], pool)]


def packed(tests: list[dict[str, str]]) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


def contest(**changes: Any) -> dict[str, Any]:
    return {
        "question_title": "Pairs",
        "question_content": "Count the pairs.",
        "platform": "leetcode",
        "question_id": "4711",
        "contest_id": "weekly-1",
        "contest_date": "2024-09-07T19:30:00",
        "starter_code": "class Solution:\n    def pairs(self, xs: List[int], k: int) -> int:\n        ",
        "difficulty": "easy",
        "public_test_cases": json.dumps([{"input": "[1, 2, 3]\n3", "output": "1", "testtype": "functional"}]),
        "private_test_cases": packed([{"input": "[1, 1, 1]\n2", "output": "3", "testtype": "functional"}]),
        "metadata": json.dumps({"func_name": "pairs"}),
        **changes,
    }


READS = contest(
    platform="atcoder",
    question_id="abc1",
    contest_date="2023-06-01T00:00:00",
    starter_code="",
    public_test_cases=json.dumps([{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]),
    private_test_cases=packed([{"input": "5 6\n", "output": "11\n", "testtype": "stdin"}]),
    metadata="{}",
)


def test_livecodebench_calls_the_method_on_public_and_private_tests(tmp_path):
    task = load_task("livecodebench", data_dir=write(tmp_path, "livecodebench.jsonl", [contest()]))
    (problem,) = task.problems()
    assert "### Question:\nCount the pairs.\n\n### Format: " in problem.prompt
    body = (
        "class Solution:\n    def pairs(self, xs, k):\n"
        "        return sum(xs[i] + xs[j] == k for i in range(len(xs)) for j in range(i))\n"
    )
    public_only = body.replace("return ", "return 1 if len(set(xs)) == 3 else 0 and ")
    assert verdicts(task, [f"```python\n{body}```", f"```python\n{public_only}```", "I do not know."]) == [
        True,
        False,
        False,
    ]


def test_livecodebench_reads_standard_input_where_there_is_no_starter_code(tmp_path):
    task = load_task("livecodebench", data_dir=write(tmp_path, "livecodebench.jsonl", [READS]))
    assert task.problems()[0].entry_point is None
    right = "```python\nprint(sum(map(int, input().split())))\n```"
    assert verdicts(task, [right, "```python\nprint(3)\n```"]) == [True, False]


def test_livecodebench_is_cut_by_date(tmp_path):
    folder = write(tmp_path, "livecodebench.jsonl", [contest(), READS])
    names = {
        split: [p.problem_id for p in load_task(f"livecodebench@generic+{split}", data_dir=folder).problems()]
        for split in ("2024-01-01..", "..2023-12-31", "2023-06-01..2024-09-07")
    }
    assert list(names.values()) == [
        ["livecodebench/4711"],
        ["livecodebench/abc1"],
        ["livecodebench/4711", "livecodebench/abc1"],
    ]
    with pytest.raises(TaskOptionError, match="expected dates such as"):
        load_task("livecodebench@generic+lately", data_dir=folder)


def test_packed_tests_that_would_run_code_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (eval, ("1",))

    evil = base64.b64encode(zlib.compress(pickle.dumps(Evil()))).decode()
    task = load_task(
        "livecodebench", data_dir=write(tmp_path, "livecodebench.jsonl", [contest(private_test_cases=evil)])
    )
    with pytest.raises(DataError, match=r"tests of 4711 cannot be read \(builtins.eval"):
        task.judge(task.problems()[0], "")


def big(**changes: Any) -> dict[str, Any]:
    head = "import json\n\ndef task_func(text):\n"
    return {
        "task_id": "BigCodeBench/0",
        "complete_prompt": head + '    """\n    Return the keys of a JSON object, sorted.\n    """\n',
        "instruct_prompt": f"Return the keys of a JSON object, sorted. Begin with:\n```\n{head}```",
        "canonical_solution": "    return sorted(json.loads(text))\n",
        "code_prompt": head,
        "test": (
            "import unittest\nfrom unittest.mock import patch\n\nclass TestCases(unittest.TestCase):\n"
            "    def test_keys(self):\n        self.assertEqual(task_func('{\"b\": 1, \"a\": 2}'), ['a', 'b'])\n"
            "    def test_patched(self):\n        with patch('json.loads', return_value={'x': 1}):\n"
            "            self.assertEqual(task_func(''), ['x'])\n"
        ),
        "entry_point": "task_func",
        "libs": "['json']",
        **changes,
    }  # fmt: skip


@pytest.mark.parametrize("protocol", ["complete", "instruct"])
def test_bigcodebench_runs_its_unit_tests_beside_the_program(tmp_path, protocol):
    task = load_task(f"bigcodebench@{protocol}", data_dir=write(tmp_path, "bigcodebench.jsonl", [big()]))
    assert task.protocol == f"bigcodebench@{protocol}"
    (problem,) = task.problems()
    wrong = "    return list(json.loads(text))\n"
    texts = [problem.reference, wrong if protocol == "complete" else f"import json\ndef task_func(text):\n{wrong}", ""]
    assert verdicts(task, texts) == [True, False, False]
    chat = f"Sure:\n```python\nimport json\n\ndef task_func(text):\n{big()['canonical_solution']}```"
    assert verdicts(task, [chat]) == [True]


def test_bigcodebench_leaves_out_what_needs_a_library_that_is_not_here_and_says_so(tmp_path):
    rows = [big(), big(task_id="BigCodeBench/1", libs="['json', 'nosuch_library']")]
    task = load_task("bigcodebench", data_dir=write(tmp_path, "bigcodebench.jsonl", rows))
    assert [problem.problem_id for problem in task.problems()] == ["BigCodeBench/0"]
    assert task.protocol == "bigcodebench@complete+installed"


def test_multipl_e_is_judged_by_its_own_tests(tmp_path):
    row = {
        "name": "HumanEval_0_double",
        "language": "py",
        "prompt": 'def double(x: int) -> int:\n    """Twice x."""\n',
        "tests": "def check(candidate):\n    assert candidate(2) == 4\n\ndef test_check():\n    check(double)\n\ntest_check()\n",
        "stop_tokens": ["\ndef", "\n#", "\nif", "\nclass"],
    }
    task = load_task("multipl-e-humaneval-py", data_dir=write(tmp_path, "multipl-e-humaneval-py.jsonl", [row]))
    assert task.problems()[0].entry_point == "double"
    assert verdicts(task, ["    return 2 * x\n\nif True", "    return x\n", ""]) == [True, False, False]


@pytest.mark.parametrize("name", ["bigcodebench", "livecodebench", "multipl-e-mbpp-py"])
def test_a_row_of_another_schema_is_named(tmp_path, name):
    with pytest.raises(DataError, match=rf"{name}\.jsonl, row 1: "):
        load_task(name, data_dir=write(tmp_path, f"{name}.jsonl", [{"prompt": "x"}]))
