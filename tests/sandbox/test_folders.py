"""What a jail of isolation "process" puts into the temporary folder goes with it, also where a process is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mtp_eval.sandbox import Pool, Program, Verdict
from mtp_eval.sandbox.trusted.folders import JailFolders, remove_left
from tests.sandbox.processes import kill_all, workers


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty temporary folder, for this process and those that it starts."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_killed_workers_leave_no_folders(temporary: Path) -> None:
    with Pool(workers=2, timeout_seconds=20.0, isolation="process") as pool:
        for round_ in range(3):
            for n in range(4):
                pool.submit(Program(f"{round_} {n}", f"import time\ntime.sleep(0.3)\nx = {round_, n}\n"), (round_, n))
            kill_all(workers(os.getpid()))
            assert [outcome.verdict for _, outcome in pool.drain()] == [Verdict.PASSED] * 4
        assert list(temporary.iterdir()), "the jails that run have folders"
    assert not list(temporary.iterdir())


def test_folders_of_a_killed_process_go_and_those_of_a_living_one_stay(temporary: Path) -> None:
    ours = JailFolders()
    Path(ours.scratch, "file").write_text("x")
    script = (
        "import os, signal\nfrom mtp_eval.sandbox.trusted.folders import JailFolders\n"
        "folders = JailFolders()\nopen(folders.scratch + '/file', 'w').close()\nprint(folders.root, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    left = Path(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False).stdout.strip()
    )
    assert left.parent == temporary
    assert (left / "scratch" / "file").exists()
    remove_left()
    assert not left.exists()
    assert Path(ours.scratch, "file").read_text() == "x"
    ours.remove()
    assert not list(temporary.iterdir())


def test_what_only_looks_like_ours_stays(temporary: Path) -> None:
    (temporary / "elsewhere").mkdir()
    (temporary / "elsewhere" / "file").write_text("x")
    (temporary / "mtp-eval-jail-link").symlink_to(temporary / "elsewhere")
    (temporary / "mtp-eval-jail-file").write_text("x")
    (temporary / "mtp-eval-other").mkdir()
    remove_left()
    assert sorted(path.name for path in temporary.iterdir()) == [
        "elsewhere", "mtp-eval-jail-file", "mtp-eval-jail-link", "mtp-eval-other",
    ]  # fmt: skip
    assert (temporary / "elsewhere" / "file").exists()
