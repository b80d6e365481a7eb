"""Whether trusted tests may leave something behind in the process that runs them: a patched module, a setting, a thread.

When in doubt they may; that costs a fork for each program and nothing else.
"""

from __future__ import annotations

import ast

from mtp_eval.sandbox.trusted.plain_names import MODULES, OF_ONE_SIDE

_HARMLESS = MODULES | frozenset((
    "__future__", "abc", "array", "ast", "base64", "binascii", "bisect", "calendar", "contextlib", "csv", "dataclasses",
    "difflib", "doctest", "enum", "functools", "hashlib", "heapq", "html", "inspect", "io", "keyword", "numbers", "operator",
    "pickle", "pprint", "queue", "string", "struct", "sys", "textwrap", "time", "traceback", "types", "unicodedata", "unittest",
    "uuid", "zlib", "zoneinfo",
))  # fmt: skip
"""Modules of which nothing stays unless it is assigned to, or one of the names below is used."""
_SETTERS = OF_ONE_SIDE | frozenset(
    (
        "addLevelName",
        "addClassCleanup",
        "addModuleCleanup",
        "call_tracing",
        "displayhook",
        "excepthook",
        "installHandler",
        "meta_path",
        "mock",
        "modules",
        "path_hooks",
        "register",
        "register_dialect",
        "registerResult",
        "set_asyncgen_hooks",
        "set_coroutine_origin_tracking_depth",
        "set_int_max_str_digits",
        "setdlopenflags",
        "setprofile",
        "setrecursionlimit",
        "setswitchinterval",
        "settrace",
        "tzset",
        "unregister_dialect",
    )
)  # fmt: skip - the names of settings in the modules above
_DYNAMIC = frozenset(("__builtins__", "__import__", "compile", "delattr", "eval", "exec", "setattr", "vars"))


def may_stay(*trees: ast.Module) -> bool:
    """Whether running these texts may change the process for whatever runs there next."""
    return any(_changes(node) for tree in trees for node in ast.walk(tree))


def _changes(node: ast.AST) -> bool:
    match node:
        case ast.Import(names=names):
            return any(not _is_harmless(alias.name) for alias in names)
        case ast.ImportFrom(module=module, names=names):
            return not _is_harmless(module or "") or any(alias.name in _SETTERS for alias in names)
        case ast.Attribute(value=ast.Name(id="self" | "cls"), ctx=ast.Store() | ast.Del()):
            return False
        case ast.Attribute(ctx=ast.Store() | ast.Del()):
            return True
        case ast.Subscript(value=ast.Attribute() | ast.Call(), ctx=ast.Store() | ast.Del()):
            return True
        case ast.Attribute(attr=name):
            return name in _SETTERS
        case ast.Name(id=name):
            return name in _DYNAMIC
    return False


def _is_harmless(module: str) -> bool:
    return module.partition(".")[0] in _HARMLESS and module != "unittest.mock"
