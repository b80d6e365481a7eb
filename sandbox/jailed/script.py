"""Programs that read standard input: run as a script would be, exit handlers and threads included."""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import types
from importlib.machinery import PathFinder
from typing import Any, TextIO

from mtp_eval.sandbox.jailed.describe import exit_code, message_of, raised


def main_module() -> types.ModuleType:
    """An empty `__main__`, with what Python gives that of a file in the working folder."""
    made = sys.modules["__main__"] = types.ModuleType("__main__")
    own = {"__file__": f"{os.getcwd()}/program.py", "__builtins__": builtins, "__annotations__": {}, "__cached__": None}
    vars(made).update(own)
    return made


def names_in(code: types.CodeType) -> set[str]:
    """All names that compiled source looks up as globals or attributes."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= names_in(constant)
    return found


def import_for(namespace: dict[str, Any], imports: list[list[str]], names: set[str]) -> None:
    """Make the imports with which the tests begin, as far as they reach a name that the program uses: it sees them, too."""
    for name, module, attribute in imports:
        try:
            if name == "*":
                made = importlib.import_module(module)
                public = getattr(made, "__all__", [key for key in vars(made) if key[0] != "_"])
                namespace.update({key: getattr(made, key) for key in public if key in names})
            elif name in names:
                made = importlib.import_module(module)
                namespace[name] = (
                    getattr(made, attribute) if attribute else made if attribute is None else sys.modules[name]
                )
        except Exception:  # then they fail in the tests, too
            continue


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
    standard_in = open(0, encoding="utf-8", errors="replace", newline="\n", closefd=False)  # noqa: SIM115
    standard_out = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    vars(sys).update(stdin=standard_in, __stdin__=standard_in, stdout=standard_out, __stdout__=standard_out)
    answer: list[Any]
    try:
        exec(code, vars(main))
        answer = ["done", seq, 0]
    except SystemExit as error:
        answer = ["done", seq, exit_code(error)]
    except BaseException as error:
        answer = raised(seq, error)
    del main
    _finish_like_the_interpreter(standard_out)
    return answer


def _finish_like_the_interpreter(standard_out: TextIO) -> None:
    """Wait for threads, run exit handlers, let go of the script's objects, flush: what a script's output may depend on."""
    import atexit
    import gc

    threading = sys.modules.get("threading")
    try:
        if threading is not None:
            threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException:
        pass
    sys.modules.pop("__main__", None)
    gc.collect()
    try:
        sys.stdout.flush()
        standard_out.flush()
    except Exception:
        os.close(1)  # what could not be written stays unwritten
