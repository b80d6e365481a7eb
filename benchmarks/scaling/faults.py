"""Faults of a server and what becomes of a run: each fault for a while, for one prompt, and for all prompts.

The real command line asks a server on this machine that misbehaves as told. A line a case: the exit code, what the journal holds, how many
requests the server got for 12 prompts, and what was said. Everything is tried at once, so that waits overlap.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.study import save, study_parser
from mtp_eval.results.journal import JOURNAL_FILE
from tests import forked
from tests.harness.backends.server import Answer, Reply, completions_server, echo

N_PROMPTS = 12
AT_ONCE = 6
TIMEOUT_SECONDS = 3
KEY = "sk-a-key-that-nobody-may-see"


def with_text(text: Any, reason: Any = "length") -> Reply:
    """A well-formed answer but for these two."""
    answer = json.loads(echo({"prompt": "x", "model": "m"})[2])
    answer["choices"][0] |= {"text": text, "finish_reason": reason}
    return 200, {}, json.dumps(answer)


def error(status: int, said: str = "as told", **headers: str) -> Reply:
    return (
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
        json.dumps({"error": {"message": said}}),
    )


FAULTS: dict[str, Reply | str] = {
    "429, Retry-After: 2": error(429, Retry_After="2"),
    "429": error(429),
    "429, x-ratelimit-reset-requests: 1s": error(
        429, x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="1s"
    ),
    "429, Retry-After: 86400": error(429, Retry_After="86400"),
    "429, insufficient_quota": error(429, "insufficient_quota"),
    "500": error(500),
    "503": error(503),
    "hang": "hang",
    "a byte now and then": "drip",
    "reset": "reset",
    "ends early": "half",
    "HTML": (200, {"Content-Type": "text/html"}, "<html>Bad gateway</html>"),
    "binary garbage": (200, {}, "\x00\x01\x02\x7f{{{"),
    "garbage said to be gzip": (200, {"Content-Encoding": "gzip"}, "no gzip"),
    "nothing": (200, {}, ""),
    "null": (200, {}, "null"),
    "an error with status 200": (200, {}, '{"error": {"message": "loading"}}'),
    "no choices": (200, {}, '{"choices": [], "usage": null}'),
    "choices: a string": (200, {}, '{"choices": "abc"}'),
    "choices: numbers": (200, {}, '{"choices": [1, 2]}'),
    "text: null": with_text(None),
    "text: a number": with_text(17),
    "text: a list": with_text(["a"]),
    "nested 100,000 deep": (200, {}, "[" * 100_000),
    "finish_reason abort": with_text(" half", "abort"),
    "finish_reason: a list": with_text(" x", ["stop"]),
    "text: empty": with_text("", "stop"),
    "text: half a surrogate pair": with_text(" x\ud800y", "stop"),
    "text: NUL and 1 MB": with_text("\0" + "x" * 1_000_000, "stop"),
    "400": error(400, "prompt is too long"),
    "413": error(413),
    "content filter": with_text("", "content_filter"),
    "401": error(401, f"wrong key {KEY}"),
    "404": error(404),
    "redirect to itself": (307, {"Location": "/v1/completions"}, ""),
}


NOT_TRIED = {(fault, "one prompt") for fault in FAULTS if fault[:3] in ("429", "503")}
"""Half an hour each: a server that turns a prompt away and answers others is asked for so long."""


@dataclass
class Seen:
    """What became of a run."""

    fault: str
    case: str
    exit_code: int
    journalled: int
    verdicts: dict[str, int]
    requests: int
    seconds: float
    said: str
    leaked: bool


def for_a_while(fault: Reply | str) -> Answer:
    return lambda body, number: fault if number < 3 else echo(body)


def for_one_prompt(fault: Reply | str) -> Answer:
    lock, chosen = threading.Lock(), list[str]()

    def answer(body: dict[str, Any], number: int) -> Reply | str:
        with lock:
            if number == 2:
                chosen.append(body["prompt"])
        return fault if body["prompt"] in chosen else echo(body)

    return answer


def for_all(fault: Reply | str) -> Answer:
    return lambda body, number: fault


CASES: dict[str, Callable[[Reply | str], Answer]] = {
    "a while": for_a_while,
    "one prompt": for_one_prompt,
    "all": for_all,
}


def tried(fault: str, case: str) -> Seen:
    """One run on such a server."""
    with completions_server(CASES[case](FAULTS[fault])) as (url, asked), tempfile.TemporaryDirectory() as place:
        folder, started = Path(place) / "run", time.monotonic()
        spec = f"openai:{url.replace('//', '//somebody:hunter22@')}#m"
        environment = {**os.environ, "OPENAI_API_KEY": KEY}
        options = ("--limit", N_PROMPTS, "--workers", 1, "--request-timeout", TIMEOUT_SECONDS, "--concurrency", 4)
        command = ("run", "--model", spec, "--task", "stargraph", *options, "--out", folder)
        with forked.command(*map(str, command), environment=environment) as running:
            code = running.wait()
            seconds, stdout, stderr = time.monotonic() - started, running.output, running.errors
        journal = folder / JOURNAL_FILE
        records = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
        written = "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())
    leaked = any(secret in stdout + stderr + written for secret in (KEY, "hunter22", "somebody"))
    said = [line for line in stderr.splitlines() if line.startswith("mtp-eval: ") or "Traceback" in line]
    verdicts = dict(Counter(record["verdict"] for record in records))
    return Seen(fault, case, code, len(records), verdicts, len(asked), seconds, " / ".join(said)[:400], leaked)


def main() -> None:
    parser = study_parser(__doc__, "three faults")
    parser.add_argument("--fault", action="append", help="only these")
    options = parser.parse_args()
    names = options.fault or list(FAULTS)[: 3 if options.quick else None]
    forked.start_server()  # before the threads, of which each would
    with ThreadPoolExecutor(AT_ONCE) as together:
        pairs = [(name, case) for name in names for case in CASES if (name, case) not in NOT_TRIED]
        found = list(together.map(lambda pair: tried(*pair), pairs))
    for one in found:
        print(
            f"{one.fault} | {one.case} | exit {one.exit_code} | {one.journalled} journalled {one.verdicts} | {one.requests} requests | "
            f"{one.seconds:.1f} s | {'LEAKED ' if one.leaked else ''}{one.said}"
        )
    save(options.json, [asdict(one) for one in found])


if __name__ == "__main__":
    main()
