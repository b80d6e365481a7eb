"""The two collections of hostile programs as `Program`s, and the traps that show whether one of them got out.

Both complete `add_two(a, b)`; the first line says what is right. Ours may bring checks of their own (`# check:` lines).
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtp_eval.tasks.problem import Program

OURS = Path(__file__).parent / "hostile"
HEADER = "def add_two(a: int, b: int) -> int:\n"
CHECKS = ("candidate(1, 2) == 3", "candidate(5, -7) == -2", "candidate(0, 0) == 0")
MAY_PASS = ("passed", "PASS")
"""First words of an expectation under which a pass is right or at least no harm."""
PORT = 47811
SECRET = ("SBX_SECRET", "s3cret")


def ours() -> list[Program]:
    """The programs of this folder."""
    return [_program(path, path.read_text()) for path in sorted(OURS.glob("*.txt"))]


def shared(folder: Path) -> list[Program]:
    """The programs of the data folder, which are bodies of the function."""
    paths = sorted((folder / "hostile").glob("*.py"))
    return [_program(path, HEADER + path.read_bytes().decode("utf-8", "surrogateescape")) for path in paths]


def forged(folder: Path) -> list[Program]:
    """The programs of the data folder that forge answers and values; none may pass."""
    rows = [json.loads(line) for line in (folder / "hostile" / "forged.jsonl").read_text("utf-8").splitlines()]
    return [Program(row["name"], row["source"], row["tests"], same_interpreter=False) for row in rows]


def expectation(program: Program) -> str:
    """What the first comment says, after the colon; forged ones have none."""
    first = next((line for line in program.source.splitlines() if line.startswith("#") and ": " in line), "#: fail")
    return first.split(": ", 1)[1]


def may_pass(program: Program) -> bool:
    """Whether passing is no harm."""
    return expectation(program).startswith(MAY_PASS)


def _program(path: Path, source: str) -> Program:
    own = [line.removeprefix("# check: ") for line in source.splitlines() if line.startswith("# check: ")]
    body = "".join(f"    assert {check}\n" for check in own or CHECKS)
    return Program(path.stem, source, f"def check(candidate):\n{body}\ncheck(add_two)", same_interpreter=False)


@contextmanager
def traps(home: Path) -> Iterator[list[str]]:
    """A secret in the environment, a listening port, an empty home; yields the list of what was caught."""
    caught: list[str] = []
    old = {name: os.environ.get(name) for name in (SECRET[0], "HOME")}
    os.environ.update({SECRET[0]: SECRET[1], "HOME": str(home)})
    server = socket.socket()
    # The programs know one port: tests that run at the same time share it, and a connection is caught by one of them.
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    server.bind(("127.0.0.1", PORT))
    server.listen()

    def accept() -> None:
        while True:
            try:
                server.accept()[0].close()
            except OSError:
                return
            caught.append("a connection")

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield caught
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        for name, value in old.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        caught.extend(f"a file {path}" for path in home.rglob("*"))
