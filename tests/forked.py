"""Processes forked from one that has imported torch and the command line: a start costs milliseconds, not two CPU seconds.

Most tests of the command line are about what it does and not about how it starts, and imports were half of their time. A fork
server (the standard library's, one for each process of pytest) imports once, and each command is a fork of it: a process of its
own, with its folder, environment, standard streams, group, signals and limits. What a start decides stays with `mtp-eval`
itself: its time, the encoding, hash seeds (all forks of a server share one), variables that imports read (here OMP_NUM_THREADS=1),
and functions of atexit, which a fork does not call.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from subprocess import CompletedProcess
from types import TracebackType
from typing import Self

COMMANDS = ("cli", "backends.native", "evaluation.run", "evaluation.score", "nightly.night", "training.command")
TRAINING = ("torch._dynamo", "torch.distributed.checkpoint", "torch.distributed.fsdp")
IMPORTED = [*(f"mtp_eval.harness.{name}" for name in COMMANDS), "pandas", "scipy.stats", *TRAINING]
"""The modules behind the commands, with torch and whatever else takes long to import."""
Function = Callable[..., object]


@dataclass(frozen=True)
class Start:
    """What a process begins with: its folder, variables and standard streams (input, output, errors), and whether it leads a group.

    `before` is called first, to set a limit for instance.
    """

    cwd: Path
    environment: dict[str, str]
    streams: tuple[Path, Path, Path]
    new_session: bool
    before: Function | None


class Forked:
    """A function in a process forked from the server, as `subprocess.Popen` has a program; `with` kills what has not ended.

    Args:
        function: importable by its name, as its arguments' classes are.
        cwd, environment: of the process; by default ours.
        input: what it reads from standard input.
        new_session: whether it leads a process group, which a test can interrupt as a terminal would.
        before: called in the process before the function.
    """

    def __init__(
        self,
        function: Function,
        *arguments: object,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        input: str = "",
        new_session: bool = False,
        before: Function | None = None,
    ) -> None:
        start_server()
        self._folder = tempfile.TemporaryDirectory(prefix="forked-")
        streams = tuple(Path(self._folder.name) / name for name in ("input", "output", "errors"))
        for stream, text in zip(streams, (input, "", ""), strict=True):
            stream.write_text(text, "utf-8")
        self._input, self._output, self._errors = streams
        given = dict(os.environ if environment is None else environment)
        start = Start(cwd or Path.cwd(), given, (self._input, self._output, self._errors), new_session, before)
        self._process = multiprocessing.get_context("forkserver").Process(
            target=become, args=(start, function, arguments)
        )
        self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._process.close()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has written to standard output so far."""
        return self._output.read_text("utf-8")

    @property
    def errors(self) -> str:
        """What it has written to standard error so far."""
        return self._errors.read_text("utf-8")

    def poll(self) -> int | None:
        """The exit code, or minus the signal that it died of; None while it runs."""
        return self._process.exitcode

    def wait(self) -> int:
        """The exit code, or minus the signal that it died of, once it has ended."""
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def kill(self) -> None:
        """Kill it, unless it has ended, and wait for that."""
        self._process.kill()
        self.wait()


@functools.cache
def start_server() -> None:
    """The server begins with one thread for numbers: a fork does not take the others along."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        forkserver.set_forkserver_preload(IMPORTED)
        forkserver.ensure_running()
    finally:
        del os.environ["OMP_NUM_THREADS"]
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


def become(start: Start, function: Function, arguments: tuple[object, ...]) -> None:
    """In the forked process: be as a fresh one would be, and run the function."""
    if start.new_session:
        os.setsid()
    os.chdir(start.cwd)
    os.environ.clear()
    os.environ.update(start.environment)
    for number, stream in enumerate(start.streams):
        opened = os.open(stream, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout = open(0, encoding="utf-8"), open(1, "w", encoding="utf-8")  # noqa: SIM115 (for good)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1)  # noqa: SIM115
    if start.before is not None:
        start.before()
    function(*arguments)


def mtp_eval(arguments: list[str]) -> None:
    """The command line."""
    from mtp_eval.harness.cli import main

    sys.argv = ["mtp-eval", *arguments]
    main()


def command(*arguments: str | Path, **options: object) -> Forked:
    """`mtp-eval` with these arguments, begun."""
    return Forked(mtp_eval, list(map(str, arguments)), **options)  # type: ignore[arg-type]


def run(*arguments: str | Path, **options: object) -> CompletedProcess[str]:
    """`mtp-eval` with these arguments, to its end."""
    with command(*arguments, **options) as process:
        code = process.wait()
        return CompletedProcess(["mtp-eval", *map(str, arguments)], code, process.output, process.errors)
