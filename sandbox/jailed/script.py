"""Programs that read standard input: run as a script would be, exit handlers and threads included."""

from __future__ import annotations

import builtins
import os
import sys
import types
from importlib.machinery import PathFinder
from typing import Any

from mtp_eval.sandbox.jailed.describe import exit_code, message_of, raised


def main_module() -> types.ModuleType:
    """An empty `__main__`, with what Python gives that of a file in the working folder."""
    made = sys.modules["__main__"] = types.ModuleType("__main__")
    vars(made).update(__file__=f"{os.getcwd()}/program.py", __builtins__=builtins)
    return made


class ModulesBeside:
    """Finds what a program writes into its folder and imports. The last finder, and only in a program's own process: the
    zygote must never import from there.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """A module of that name in the folder, or None."""
        return PathFinder.find_spec(name, [self.folder], target) if path is None else None


def run_script(seq: int, source: str) -> list[Any]:
    """Run source as `__main__` on standard input and output; the answer says how it ended."""
    try:
        code = compile(source, "<program>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return ["syntax", seq, message_of(error)]
    main = main_module()
    sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    answer: list[Any]
    try:
        exec(code, main.__dict__)
        answer = ["done", seq, 0]
    except SystemExit as error:
        answer = ["done", seq, exit_code(error)]
    except BaseException as error:
        answer = raised(seq, error)
    _finish_like_the_interpreter()
    return answer


def _finish_like_the_interpreter() -> None:
    """Wait for threads, run exit handlers, flush: what a script's output may depend on."""
    import atexit

    threading = sys.modules.get("threading")
    try:
        if threading is not None:
            threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException:
        pass
    try:
        sys.stdout.flush()
    except Exception:
        os.close(1)  # what could not be written stays unwritten
