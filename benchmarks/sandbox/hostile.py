"""Hostile programs (40 and 90 forgers from the data folder, 85 of our own): what got through, what was left, how long each took."""

from __future__ import annotations

import ctypes
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.study import study_parser
from mtp_eval.sandbox.outcome import Verdict
from mtp_eval.sandbox.pool import Pool
from mtp_eval.sandbox.trusted.session import children_of
from tests.sandbox import hostile_programs as hostile

WATCHED = ("/dev/shm", "/var/tmp", "/etc", "/usr/local")
HANG_SECONDS = 60.0
SECRETS = (
    "25_read_passwd",
    "26_read_env_secret",
    "66_walk_for_answers",
    "67_walk_for_secrets",
    "78_scan_memory_for_tests",
)
"""Programs that pass if and only if they could read what they are after."""


def become(uid: int) -> None:
    """Become an ordinary user, for good."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if not os.access(os.path.realpath(sys.executable), os.X_OK):
        sys.exit(f"uid {uid} may not execute {os.path.realpath(sys.executable)}; use a Python that it can reach")


def names_outside(home: Path) -> set[str]:
    """The files in places where a program that got out would leave some."""
    folders = [home, Path.cwd(), *map(Path, WATCHED)]
    found = set()
    for folder in folders:
        try:
            found |= {f"{entry.path} {entry.stat(follow_symlinks=False).st_mtime_ns}" for entry in os.scandir(folder)}
        except OSError:
            continue
    return found


def run_all(isolation: str, limit_seconds: float, data: Path, quick: bool) -> dict[str, Any]:
    """Every program alone in a pool of two workers, one after another."""
    programs = [*hostile.shared(data), *hostile.ours(), *hostile.forged(data)]
    programs = programs[:: len(programs) // 20] if quick else programs
    rows: list[dict[str, Any]] = []
    infrastructure = 0
    with tempfile.TemporaryDirectory() as home:
        before = names_outside(Path(home))
        with hostile.traps(Path(home)) as caught:
            with Pool(workers=2, timeout_seconds=limit_seconds, memory_bytes=512 << 20, isolation=isolation) as pool:
                for program in programs:
                    started = time.monotonic()
                    (outcome,) = pool.run([program])
                    seconds = time.monotonic() - started
                    infrastructure += outcome.verdict is Verdict.INFRASTRUCTURE_ERROR
                    tries = 1 + outcome.n_retries
                    rows.append(
                        {
                            "program": program.problem_id,
                            "verdict": str(outcome.verdict),
                            "wrong_pass": outcome.passed and not hostile.may_pass(program),
                            "tries": tries,
                            "seconds": round(seconds, 3),
                            "over_limit": round(seconds / tries - limit_seconds, 3),
                            "peak_mb": outcome.peak_bytes >> 20,
                        }
                    )
            survivors = wait_for_end()
            changed = sorted(names_outside(Path(home)) - before)
    return {
        "programs": len(rows),
        "user": os.getuid(),
        "isolation": isolation,
        "limit_seconds": limit_seconds,
        "false_passes": [row["program"] for row in rows if row["wrong_pass"]],
        "secrets_read": [row["program"] for row in rows if row["wrong_pass"] and row["program"] in SECRETS],
        "files_changed": [*changed, *(what for what in caught if what.startswith("a file"))],
        "connections": caught.count("a connection"),
        "survivors": survivors,
        "hangs": [row["program"] for row in rows if row["seconds"] > HANG_SECONDS],
        "infrastructure_errors": infrastructure,
        "largest_over_limit": max(rows, key=lambda row: row["over_limit"]),
        "verdicts": dict(Counter(row["verdict"] for row in rows)),
        "rows": rows,
    }


def wait_for_end(seconds: float = 5.0) -> list[str]:
    """Descendants that are left once the pool is closed; orphans come to this process, which is their subreaper."""
    deadline = time.monotonic() + seconds
    while True:
        left = [pid for pid in children_of(os.getpid()) if "resource_tracker" not in _command(pid) and not _reaped(pid)]
        if not left or time.monotonic() > deadline:
            return [f"{pid} {_command(pid)[:80]}" for pid in left]
        time.sleep(0.05)


def _reaped(pid: str) -> bool:
    """Whether it is dead; a dead orphan is this process's to collect, as it would be init's."""
    try:
        return os.waitpid(int(pid), os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def main() -> None:
    parser = study_parser(__doc__, "every sixth program")
    parser.add_argument("--limit", type=float, default=2.0, help="seconds that a program may take")
    parser.add_argument("--isolation", default="full", help="full or process")
    parser.add_argument("--as-uid", type=int, help="become this user first (root only)")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with hostile/")
    options = parser.parse_args()
    report_file = open(options.json, "w") if options.json else None  # noqa: SIM115 -- opened while still allowed to
    if options.as_uid is not None:
        become(options.as_uid)
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    figures = run_all(options.isolation, options.limit, options.data, options.quick)
    for name, value in figures.items():
        if name != "rows":
            print(f"{name}: {value}")
    if report_file is not None:
        with report_file:
            json.dump(figures, report_file, indent=1)
    bad = (
        "false_passes",
        "secrets_read",
        "files_changed",
        "connections",
        "survivors",
        "hangs",
        "infrastructure_errors",
    )
    late = [row["program"] for row in figures["rows"] if row["over_limit"] > 1.0]
    print(f"later than limit + 1 s: {late}")
    sys.exit(any(figures[name] for name in bad))


if __name__ == "__main__":
    main()
