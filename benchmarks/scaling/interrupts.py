"""Interruptions of a run on a server: Ctrl-C in several states, and a server that is killed and started again.

Ctrl-C: seconds from the signal, which the whole group of processes gets as from a terminal, to the end of the command. Killed servers: how
many requests a new one gets, beside how many completions were missing, where the run goes on and where it was killed as well.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.study import save, study_parser
from mtp_eval.results.journal import JOURNAL_FILE
from tests import forked
from tests.harness.backends.server import Answer, Reply, completions_server, echo

SLEEPER = "    import time\n    time.sleep(50)  # NUMBER\n"
SERVER = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
port, log, seconds = int(sys.argv[1]), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND), float(sys.argv[3])
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_error(404)
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        os.write(log, b"asked\\n")
        time.sleep(seconds)
        data = json.dumps({"choices": [{"text": " x" + str(len(body["prompt"])), "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        os.write(log, b"answered\\n")
        self.wfile.write(data)
    def log_message(self, *_):
        pass
ThreadingHTTPServer.allow_reuse_address = True
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def command(url: str, folder: Path, task: str, n: int, *more: Any) -> forked.Forked:
    options = ("--limit", n, "--workers", 2, "--concurrency", 8, *more, "--out", folder)
    arguments = ("run", "--model", f"openai:{url}#m", "--task", task, *options)
    return forked.command(*map(str, arguments), new_session=True)


def sleeping(body: dict[str, Any], number: int) -> Reply:
    """A completion of HumanEval that takes its time when it is executed."""
    status, headers, text = echo(body)
    answer = json.loads(text)
    answer["choices"][0]["text"] = SLEEPER.replace("NUMBER", str(number))
    return status, headers, json.dumps(answer)


STATES: dict[str, tuple[str, Answer]] = {
    "the server hangs": ("stargraph", lambda body, number: "hang"),
    "waiting to ask again (500)": ("stargraph", lambda body, number: (500, {}, "{}")),
    "told to wait for 10 minutes": ("stargraph", lambda body, number: (429, {"Retry-After": "600"}, "{}")),
    "answers come slowly": ("stargraph", lambda body, number: "drip" if number % 4 else echo(body)),
    "programs are executed": ("humaneval", sleeping),
}


def ctrl_c(state: str) -> tuple[float, int]:
    """Seconds until the command has ended, and its exit code."""
    task, answer = STATES[state]
    with (
        completions_server(answer) as (url, asked),
        tempfile.TemporaryDirectory() as place,
        command(url, Path(place) / "run", task, 40, "--timeout", 60) as running,
    ):
        while not asked and running.poll() is None:
            time.sleep(0.05)
        time.sleep(3.0)
        started = time.monotonic()
        os.killpg(running.pid, signal.SIGINT)
        code = running.wait()
        return time.monotonic() - started, code


@contextmanager
def server(port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port), str(log), "0.3"])
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def counted(log: Path) -> tuple[int, int]:
    lines = log.read_text().split() if log.exists() else []
    return lines.count("asked"), lines.count("answered")


def lines_of(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def restarted(n: int, kill_after: int, *, run_too: bool) -> dict[str, Any]:
    """A server killed after so many answers, for 3 s; with `run_too` the run is killed with it, and repeated."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as place:
        log, folder, url = Path(place) / "log", Path(place) / "run", f"http://127.0.0.1:{port}/v1"
        journal = folder / JOURNAL_FILE
        with server(port, log) as first:
            running = command(url, folder, "stargraph", n)
            while counted(log)[1] < kill_after:
                time.sleep(0.01)
            if run_too:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
            first.kill()
            first.wait()
        asked, answered = counted(log)
        journalled = lines_of(journal)
        time.sleep(3.0)
        with server(port, log):
            if run_too:
                running = command(url, folder, "stargraph", n)
            code = running.wait()
        asked_again = counted(log)[0] - asked
        found = {"completions": n, "asked before": asked, "answered before": answered, "asked after": asked_again}
        return {**found, "journalled at the kill": journalled, "exit code": code, "journalled": lines_of(journal)}


def main() -> None:
    parser = study_parser(__doc__, "one try each")
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--only", choices=("killed", "ctrl_c"), help="one of the two")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell ignores Ctrl-C
    tries = 1 if options.quick else options.tries
    kills, stops = [], {}
    for run_too in (False, True) if options.only != "ctrl_c" else ():
        for number in range(tries):
            kills.append(restarted(120, 30 + 10 * number, run_too=run_too))
            print(", ".join(f"{name}: {value}" for name, value in kills[-1].items()), flush=True)
    for state in STATES if options.only != "killed" else ():
        stops[state] = [ctrl_c(state) for _ in range(tries)]
        seconds = [took for took, _ in stops[state]]
        codes = sorted({code for _, code in stops[state]})
        print(
            f"Ctrl-C while {state}: {median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), exit {codes}",
            flush=True,
        )
    save(options.json, {"killed": kills, "ctrl_c": stops})


if __name__ == "__main__":
    main()
