"""Which workers the pool takes for stuck: those that are overdue and do not try to run."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import deque
from types import SimpleNamespace

import pytest

from mtp_eval.sandbox import Program
from mtp_eval.sandbox.trusted.processes import Job, Worker

LONG_AGO = -1000.0
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how long a process was ready to run")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "stuck"), [("while True: pass", False), ("import time; time.sleep(60)", True)], ids=["spins", "sleeps"]
)
def test_a_worker_that_could_run_is_not_stuck_however_busy_the_host(what: str, stuck: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", f"print(flush=True)\n{what}"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            job = Job(b"", Program("p", ""), [])
            worker = Worker(process, SimpleNamespace(), True, deque([job]), since=time.monotonic() + LONG_AGO)
            assert not worker.is_stuck(1.0), "one look says nothing"
            time.sleep(1.5)
            assert worker.is_stuck(1.0) is stuck
            worker.since = time.monotonic()
            assert not worker.is_stuck(1.0), "it is not overdue"
        finally:
            process.kill()
