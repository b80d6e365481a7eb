"""The zygote: a small clean Python process that goes to jail first and then forks one child for each program.

Started by `jail.Jail` as `python -c BOOT CONFIG`, never forked from the harness. One command socket comes with it, on
which `forks.serve` then takes orders. Only the standard library is imported here, and little of it: a fork costs what
the process weighs.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import sys
from _socket import socket  # `socket` itself brings selectors and enums
from typing import Any

from mtp_eval.sandbox import linux
from mtp_eval.sandbox.jailed import landlock, namespaces, seccomp
from mtp_eval.sandbox.jailed.forks import serve
from mtp_eval.sandbox.jailed.warmup import warm_up
from mtp_eval.sandbox.wire.codec import register_collections
from mtp_eval.sandbox.wire.frames import HELLO_BYTES

PRELOADED = (
    "bisect", "collections", "copy", "functools", "heapq", "itertools", "math", "operator", "re", "string", "typing",
)  # fmt: skip
"""What generated programs import most; importing it once here saves every one of them milliseconds, but each module
with shared objects of its own makes every fork dearer."""


def main() -> None:
    """Read the configuration from the command line, enter the jail, then serve commands for ever."""
    config = json.loads(sys.argv[1])
    if sys.platform == "linux":
        linux.keep_page_tables_in_forks()
    commands = socket(fileno=config["fd"])
    os.closerange(3, commands.fileno())
    os.closerange(commands.fileno() + 1, 1024)
    try:
        layers, filter_ = enter_jail(config, commands)
    except OSError as error:
        commands.send(json.dumps({"failed": str(error), "missing": _why_not(config)}).encode()[:HELLO_BYTES])
        os._exit(1)
    for name in (*PRELOADED, *config["preload"]):
        importlib.import_module(name)
    register_collections()
    for name in list(os.environ):
        if name.startswith("LD_"):
            del os.environ[name]
    warm_up()
    _lower(resource.RLIMIT_AS, config["memory_bytes"])  # the children's; what was preloaded counts for them as well
    if filter_ is not None:
        filter_.install_for_zygote()
    commands.send(json.dumps({"layers": layers}).encode())
    serve(commands, filter_, private=config["isolation"] == "full", scratch=config["scratch"])


def enter_jail(config: dict[str, Any], commands: socket) -> tuple[dict[str, str], seccomp.Filter | None]:
    """Put every layer in force that the isolation asks for; returns what is in force and the filter for children.

    Raises:
        OSError: full isolation was asked for and a layer is missing.
    """
    layers = {}
    if config["isolation"] == "full":
        in_user_namespace = namespaces.enter()
        outside = os.pidfd_open(os.getpid())
        pid = os.fork()
        if pid:  # the one outside the new pid namespace: tell its pid as the host sees it, and leave
            commands.send(json.dumps({"host_pid": pid}).encode())
            os._exit(0)
        select.select([outside], [], [])  # its end must not count as the death of the parent that is asked for below
        os.close(outside)
        namespaces.build_root(
            config["stdlib"], config["library"], config["packages"], config["tmp_bytes"], config["tmp_inodes"]
        )
        namespaces.give_up_root(in_user_namespace=in_user_namespace)
        for name in ("user_namespace", *namespaces.NAMESPACES, "read_only_root", "limited_tmpfs", "no_capabilities"):
            layers[name] = "on"
        sys.path[:] = [path for path in sys.path if "packages" not in path] + [namespaces.PACKAGES]
        readable, writable = ["/"], ["/tmp", "/dev/null", "/dev/zero", "/dev/full"]
    else:
        os.chdir(config["scratch"])
        os.environ["TMPDIR"] = config["scratch"]
        layers["namespaces"] = "off: not part of isolation 'process'"
        sys.path.append(config["package_links"])
        readable = [path for path in config["readable"] if os.path.exists(path)]
        writable = [config["scratch"], "/dev/null"]
    required = config["isolation"] == "full"
    _attempt(layers, "subreaper", lambda: linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1), required=required)
    _attempt(layers, "no_new_privs", lambda: linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1), required=required)
    _attempt(layers, "landlock", lambda: landlock.restrict(readable, writable), required=required)
    _attempt(layers, "undumpable", lambda: linux.prctl(linux.PR_SET_DUMPABLE, 0), required=required)
    filter_ = _attempt(layers, "seccomp", seccomp.Filter, required=required)
    _attempt(layers, "rlimits", lambda: _limit_for_good(config), required=True)
    linux_only = sys.platform == "linux"
    if linux_only:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    return layers, filter_


def _attempt(layers: dict[str, str], name: str, layer: Any, *, required: bool) -> Any:
    try:
        made = layer()
    except (OSError, AttributeError, ValueError) as error:  # AttributeError: a libc without prctl
        if required:
            raise OSError(f"{name}: {error}") from None
        layers[name] = f"off: {error}"
        return None
    layers[name] = "on"
    return made


def _why_not(config: dict[str, Any]) -> dict[str, str]:
    if config["isolation"] != "full" or sys.platform != "linux":
        return {}
    try:
        return namespaces.missing()
    except OSError:
        return {}


def _limit_for_good(config: dict[str, Any]) -> None:
    """Limits that are the same for every program; children cannot raise them."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, config["open_files"])
    _lower(resource.RLIMIT_FSIZE, config["output_bytes"])
    if config["isolation"] == "full":
        _lower(resource.RLIMIT_NPROC, config["processes"])


def _lower(kind: int, value: int) -> None:
    """Set soft and hard limit, never above the hard limit there is."""
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))
