"""What comes of samples files as people have them, up to the verdicts; the oracle is the list in `odd_files`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.harness.evaluation.given import from_samples
from mtp_eval.harness.evaluation.judging import judge_all
from mtp_eval.harness.evaluation.score import ScoreConfig, load_scored_task, score
from mtp_eval.harness.outputs import try_file
from mtp_eval.sandbox import Pool
from mtp_eval.tasks.errors import TaskError
from mtp_eval.tasks.problem import Judgement, Program
from tests.harness.evaluation.odd_files import FILES, G, OddFile, jl


def judged(odd: OddFile, folder: Path) -> list[Program | Judgement]:
    """The programs that `mtp-eval score` would run, in the file's order."""
    folder.mkdir(parents=True)
    path = folder / odd.name
    path.write_bytes(odd.data)
    config = ScoreConfig(samples=path, allow_missing=True, **odd.options)
    task = load_scored_task(config)
    extracted = config.extract is not None
    found, _ = from_samples(path, task, filter=config.filter, extracted=extracted, allow_missing=True)
    (part,) = found.parts
    return [part.judged(task.problem(one.completion.problem_id), one.completion.text) for one in part.given]


def is_right(verdicts: Sequence[str], right: Sequence[str]) -> bool:
    same = (got != "passed" if wanted == "*" else got == wanted for got, wanted in zip(verdicts, right, strict=True))
    return len(verdicts) == len(right) and all(same)


@pytest.mark.parametrize("name", [name for name, odd in FILES.items() if isinstance(odd.right, str)])
def test_what_is_refused_says_why(name: str, tmp_path: Path, benchmark_data: Path) -> None:
    with pytest.raises((MtpEvalError, TaskError), match=f"(?s){FILES[name].right}"):
        judged(FILES[name], tmp_path / "file")


@pytest.mark.slow
def test_what_is_read_has_the_verdicts_of_a_reader(tmp_path: Path, benchmark_data: Path) -> None:
    read = {name: odd for name, odd in FILES.items() if not isinstance(odd.right, str)}
    programs = {name: judged(odd, tmp_path / str(number)) for number, (name, odd) in enumerate(read.items())}
    with Pool(workers=2) as pool:
        outcomes = iter(list(judge_all((one for of in programs.values() for one in of), pool)))
    verdicts = {name: [str(next(outcomes).verdict) for _ in of] for name, of in programs.items()}
    assert {name: got for name, got in verdicts.items() if not is_right(got, read[name].right)} == {}


def test_results_never_take_the_place_of_the_samples(tmp_path: Path) -> None:
    samples = tmp_path / "s.jsonl"
    samples.write_text(jl({"task_id": "HumanEval/53", "completion": G}))
    before = samples.read_bytes()
    other = tmp_path / "other.jsonl"
    other.symlink_to(samples)
    for out in (samples, other):
        with pytest.raises(MtpEvalError, match=r"--human-eval-output .* is what this command reads, and would be lost"):
            score(samples=samples, task="humaneval", allow_missing=True, human_eval_output=out, out=tmp_path / "run")
    assert samples.read_bytes() == before
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["records.jsonl", "run.json"])
def test_no_output_takes_the_place_of_a_run(name: str, tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text("{}")
    (tmp_path / "run.json").write_text("{}")
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(InputError, match=f"--out .*{name} is a part of the run in .*, and would be lost"):
        try_file(tmp_path / name, "--out")
    (tmp_path / "link.md").symlink_to(name)
    with pytest.raises(InputError, match=r"--out .*link.md is a part of the run in .*, and would be lost"):
        try_file(tmp_path / "link.md", "--out")
    try_file(tmp_path / "table.md", "--out")
    assert (tmp_path / "run.json").read_bytes() == before
    (tmp_path / "run.json").unlink()
    try_file(tmp_path / "records.jsonl", "--out")  # a file of that name, but no run
