"""Whether programs run while completions are generated: the wall time of a run beside those of its two halves alone.

A server that takes its time is the model, so that generating costs no CPU here, as on a GPU or another machine; the
programs wait and compute as told. Ratios of interleaved rounds: wall time over the longer of the two halves.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

from benchmarks.study import save, study_parser
from mtp_eval.harness import RunConfig, run
from mtp_eval.results.journal import JOURNAL_FILE

CONCURRENCY = 4


@contextmanager
def slow_server(seconds: float, text: str) -> Iterator[tuple[str, list[float]]]:
    """A model server that answers every prompt with the same text after so many seconds; gives its URL, and when it was asked."""
    asked: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(time.time())
            time.sleep(seconds)
            choice = {
                "index": 0,
                "text": text.replace("NUMBER", str(time.monotonic_ns())),
                "finish_reason": "stop",
                "logprobs": None,
            }
            data = json.dumps(
                {"id": "x", "object": "text_completion", "created": 0, "model": "m", "choices": [choice]}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}/v1", asked
    finally:
        httpd.shutdown()
        httpd.server_close()


def timed(answer_seconds: float, program_seconds: float, n_problems: int) -> float:
    """One run: seconds from its first request to its last verdict."""
    body = f"    import time\n    time.sleep({program_seconds})  # NUMBER\n    return NUMBER\n"
    with slow_server(answer_seconds, body) as (url, asked), tempfile.TemporaryDirectory() as folder:
        config = RunConfig(
            model=(f"openai:{url}#m",),
            task=("humaneval",),
            limit=n_problems,
            workers=1,
            concurrency=CONCURRENCY,
            out=Path(folder) / "run",
        )
        journal = run(config).folder / JOURNAL_FILE
        return journal.stat().st_mtime - min(asked)


def main() -> None:
    parser = study_parser(__doc__, "32 problems, one round")
    parser.add_argument("--problems", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    n, rounds = (32, 1) if options.quick else (options.problems, options.rounds)
    found = []
    for name, answer, program in (
        ("equal", 0.40, 0.10),
        ("generating is slower", 0.80, 0.10),
        ("executing is slower", 0.40, 0.20),
    ):
        ratios = []
        for _ in range(rounds):
            both = timed(answer, program, n)
            generating, executing = timed(answer, 0.0, n), timed(0.0, program, n)
            ratios.append(both / max(generating, executing))
            found.append({"case": name, "both": both, "generating": generating, "executing": executing})
        print(
            f"{name}: {median(ratios):.3f} x the longer half ({min(ratios):.3f} to {max(ratios):.3f}), last round: "
            f"both {both:.1f} s, generating alone {generating:.1f} s, executing alone {executing:.1f} s",
            flush=True,
        )
    save(options.json, {"problems": n, "rounds": rounds, "measured": found})


if __name__ == "__main__":
    main()
