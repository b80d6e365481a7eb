"""results.lock: a folder has one writer at a time, whoever it is and however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mtp_eval.results.lock import only_one, take_lock

HOLD = "import sys, time; from pathlib import Path; from mtp_eval.results.lock import take_lock\n" + (
    "lock = take_lock(Path(sys.argv[1]), OSError); print(flush=True); time.sleep(60)"
)


class TakenError(Exception):
    """What the caller says of a folder that another process has."""


def test_a_folder_is_given_to_one_process_and_back_when_it_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, os.fspath(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(TakenError, match=rf"^ \(pid {holder.pid}\)$"):
            take_lock(tmp_path, TakenError)
        holder.send_signal(signal.SIGKILL)
    take_lock(tmp_path, TakenError).release()


def test_a_folder_is_made_and_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_one(tmp_path / "a/b", TakenError):
        raise ZeroDivisionError
    with only_one(tmp_path / "a/b", TakenError), pytest.raises(TakenError, match=f"pid {os.getpid()}"):
        take_lock(tmp_path / "a/b", TakenError)
