"""Programs that read standard input print and end here as they do in plain Python, which is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mtp_eval.sandbox import Pool, Program

GIVEN = "5\n1 2\r\n3 4\n"
SCRIPTS = dict(
    block.strip("\n").split("\n", 1)
    for block in Path(__file__).with_name("scripts.txt").read_text("utf-8").split("\n====\n")
)


@pytest.mark.slow
def test_a_script_prints_and_ends_as_in_plain_python(pool: Pool, tmp_path: Path) -> None:
    programs, ends_well = [], []
    (tmp_path / "given").write_bytes(GIVEN.encode())
    for name, source in SCRIPTS.items():
        (tmp_path / "program.py").write_text(source, "utf-8")
        with (tmp_path / "given").open("rb") as given:
            done = subprocess.run(
                [sys.executable, "program.py"],
                cwd=tmp_path,
                env={"PYTHONHASHSEED": "0", "LANG": "C.UTF-8"},
                stdin=given,
                capture_output=True,
            )
        programs.append(Program(name, source, stdin_cases=((GIVEN, done.stdout.decode("utf-8", "replace")),)))
        ends_well.append(done.returncode == 0)
    outcomes = pool.run(programs)
    different = [
        f"{program.problem_id}: {outcome.verdict} {outcome.error}"
        for program, outcome, well in zip(programs, outcomes, ends_well, strict=True)
        if outcome.passed is not well
    ]
    assert not different, "\n".join(different)
    assert len(programs) >= 55
    assert sum(ends_well) >= 40
