"""Progress as a log shows it: news at a steady pace, and silence named."""

from __future__ import annotations

import re
import time

import pytest

from mtp_eval.harness import progress as module
from mtp_eval.harness.progress import pace, progress


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLAIN_LINE_SECONDS", 0.2)
    monkeypatch.setattr(module, "LONGEST_SILENCE_SECONDS", 0.8)


def test_a_step_that_hangs_says_so_less_and_less_often(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("requests", 10, done=3) as shown:
        shown.advance()
        time.sleep(2.8)
    silent = [line for line in capsys.readouterr().err.splitlines() if "nothing new for" in line]
    assert 3 <= len(silent) <= 5  # after 0.2, 0.4, 0.8, 1.6 and 2.4 s; a busy machine may miss the later ones
    assert all(line.startswith("requests: 4/10 in ") for line in silent)


def test_a_step_with_news_has_lines_of_its_pace_only(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("samples", 30) as shown:
        for _ in range(30):
            time.sleep(0.03)
            shown.advance(note="1.5 tokens per forward")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert re.fullmatch(r"samples: 30/30 in \d+ s, \d+\.\d/s, 1\.5 tokens per forward", lines[-1])


def test_nothing_is_said_once_a_step_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("steps", 2) as shown:
        shown.advance()
    capsys.readouterr()
    time.sleep(0.5)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("done", "seconds", "said"),
    [(0, 10.0, ""), (5, 0.0, ""), (50, 10.0, ", 5.0/s"), (1, 10.0, ", 0.1/s"), (1, 42.0, ", 42 s each"), (7, 166.0, ", 24 s each")],
)  # fmt: skip
def test_a_slow_pace_is_given_in_seconds(done: int, seconds: float, said: str) -> None:
    assert pace(done, seconds) == said
