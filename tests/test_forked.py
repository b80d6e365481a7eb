"""A forked command is the command: the same bytes, the same exit code, and a process that can be limited, interrupted and killed."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests import forked

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).with_name("mtp-eval")
SAMPLE = json.dumps({"task_id": "HumanEval/0", "completion": "    return 'ü'\n"})


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("tasks",),
        ("run", "--model", "x", "--task", "humanevil"),
        ("table", "nowhere"),
        ("score", "-", "--task", "humaneval", "--allow-missing", "--workers", "1", "--out", "out"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_forked_command_is_the_command(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "forked").mkdir()
    (tmp_path / "real").mkdir()
    done = forked.run(*arguments, cwd=tmp_path / "forked", input=SAMPLE)
    real = subprocess.run(
        [BIN, *arguments], cwd=tmp_path / "real", input=SAMPLE, capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stdout) == (real.returncode, real.stdout)
    if real.returncode:
        assert done.stderr == real.stderr  # after success it tells of seconds
    for file in ("out/table.csv", "out/metrics.json"):
        written = [(tmp_path / way / file) for way in ("forked", "real")]
        assert len({path.read_bytes() if path.exists() else None for path in written}) == 1, file


def tell() -> None:
    """What a process can know of how it was started."""
    print(os.getcwd(), os.environ["COLOUR"], "HOME" in os.environ, sys.stdin.read(), os.getpgid(0) == os.getpid())
    print(resource.getrlimit(resource.RLIMIT_FSIZE)[0], file=sys.stderr)


def wait_for_ever() -> None:
    print("waiting", flush=True)
    time.sleep(3600)


def test_a_forked_process_has_its_own_folder_variables_input_group_and_limits(tmp_path: Path) -> None:
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (4096, 8192))
    options = {"cwd": tmp_path, "environment": {"COLOUR": "red"}, "input": "text", "before": limit}
    with forked.Forked(tell, **options, new_session=True) as process:  # type: ignore[arg-type]
        assert process.wait() == 0, process.errors
        assert process.output == f"{tmp_path} red False text True\n"
        assert process.errors == "4096\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_forked_process_is_signalled_as_any_other(number: signal.Signals) -> None:
    with forked.Forked(wait_for_ever) as process:
        while process.output != "waiting\n":
            time.sleep(0.01)
        assert process.poll() is None
        pid = process.pid
        os.kill(pid, number)
        assert process.wait() == (1 if number is signal.SIGINT else -number)
        assert ("KeyboardInterrupt" in process.errors) == (number is signal.SIGINT)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
