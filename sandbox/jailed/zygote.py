"""The zygote: a small clean Python process that goes to jail first and then forks one child for each program.

Started by `jail.Jail` as `python -c BOOT FOLDER FD`, never forked from the harness. The configuration comes on standard
input, the orders that `forks.serve` takes on the socket FD. Only the standard library is imported here, and little of
it: a fork costs what the process weighs.
"""

from __future__ import annotations

import _sitebuiltins
import builtins
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
from mtp_eval.sandbox.jailed.seeded import seed_imports
from mtp_eval.sandbox.jailed.threads import ThreadCounter
from mtp_eval.sandbox.jailed.warmup import warm_up
from mtp_eval.sandbox.wire.codec import register_collections
from mtp_eval.sandbox.wire.frames import HELLO_BYTES

PRELOADED = (
    "bisect", "collections", "copy", "functools", "heapq", "itertools", "math", "operator", "re", "string", "typing",
)  # fmt: skip
"""What generated programs import most; importing it once here saves every one of them milliseconds, but each module
with shared objects of its own makes every fork dearer."""


def main() -> None:
    """Read the configuration, enter the jail, then serve commands until their socket closes."""
    if sys.platform == "linux":
        linux.keep_page_tables_in_forks()
    os.umask(0o022)
    commands = socket(fileno=int(sys.argv[1]))
    os.closerange(3, commands.fileno())
    os.closerange(commands.fileno() + 1, 1024)
    filter_, private, scratch = _prepare(commands)
    serve(commands, filter_, private=private, scratch=scratch)


def _prepare(commands: socket) -> tuple[seccomp.Filter | None, bool, str]:
    """Everything up to the first order. A program finds no local variable of this in the frames above its own."""
    config = _read_configuration()
    private = config["isolation"] == "full"
    host = namespaces.Host()
    try:
        layers, filter_ = _close(config, commands, private=private)
    except OSError as error:
        failed = f"{error.strerror}{f': {error.filename}' if error.filename else ''}" if error.strerror else str(error)
        missing = host.missing() if private else {}
        commands.send(json.dumps({"failed": failed, "missing": missing}).encode()[:HELLO_BYTES])
        os._exit(1)
    commands.send(json.dumps({"layers": layers}).encode())
    return filter_, private, config["scratch"]


def _close(config: dict[str, Any], commands: socket, *, private: bool) -> tuple[dict[str, str], seccomp.Filter | None]:
    """Enter the jail, warm up, and let the filter be the last thing."""
    keeps_root = namespaces.keeps_root(config) if private else os.geteuid() == 0
    counter = None if private and not keeps_root else _count_threads(config["processes"], commands)
    layers, filter_ = enter_jail(config, commands, keeps_root=keeps_root)
    for name in (*PRELOADED, *config["preload"]):
        importlib.import_module(name)
    register_collections()
    seed_imports()
    _forget_the_host()
    _add_builtins_of_site()
    warm_up()
    _lower(resource.RLIMIT_AS, config["memory_bytes"])  # the children's; what was preloaded counts for them as well
    if counter is not None:
        asking = filter_.install_asking if filter_ is not None else _no_filter
        _attempt(layers, "thread_limit", lambda: counter.listen(asking), required=private)
        counter.close()
    if filter_ is not None and layers.get("thread_limit") != "on":
        filter_.install_for_zygote()
    return layers, filter_


def _no_filter() -> int:
    raise OSError("no seccomp filter to ask by")


def _read_configuration() -> dict[str, Any]:
    text = b""
    while chunk := os.read(0, 1 << 16):
        text += chunk
    _reopen_standard_files()
    return json.loads(text)


def _reopen_standard_files() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nowhere, fd)
    os.close(nowhere)


def _forget_the_host() -> None:
    """Leave a program the arguments of a script that was given none, and no host path but the standard library's."""
    sys.argv[:] = sys.orig_argv[:] = [""]
    sys.executable = vars(sys)["_base_executable"] = ""
    for name in list(os.environ):
        if name.startswith(("LD_", "DYLD_")):
            del os.environ[name]


def _add_builtins_of_site() -> None:
    """What `site` gives a script, as this Python starts without: generated programs end with `exit()`."""
    added = vars(builtins)
    added.update({name: _sitebuiltins.Quitter(name, "Ctrl-D (i.e. EOF)") for name in ("exit", "quit")})
    added.update(help=_sitebuiltins._Helper(), copyright=_sitebuiltins._Printer("copyright", sys.copyright))
    for name in ("credits", "license"):
        added[name] = _sitebuiltins._Printer(name, "See https://www.python.org/psf/ for Python's authors and license.")


def _count_threads(most: int, commands: socket) -> ThreadCounter | None:
    counter = ThreadCounter(most, commands) if sys.platform == "linux" else None
    if counter is not None:
        commands.send(json.dumps({"counter_pid": counter.pid}).encode())
    return counter


def enter_jail(
    config: dict[str, Any], commands: socket, *, keeps_root: bool
) -> tuple[dict[str, str], seccomp.Filter | None]:
    """Put every layer in force that the isolation asks for; returns what is in force and the filter for children.

    Raises:
        OSError: full isolation was asked for and a layer is missing.
    """
    layers: dict[str, str] = {}
    private = config["isolation"] == "full"
    if private:
        _enter_namespaces(config, commands, layers, keeps_root=keeps_root)
        readable, writable = ["/"], ["/tmp", "/dev/null", "/dev/zero", "/dev/full"]
    else:
        layers["namespaces"] = "off: not part of isolation 'process'"
        os.chdir(config["scratch"])
        os.environ["TMPDIR"] = config["scratch"]
        sys.path.append(config["package_links"])
        readable = [path for path in config["readable"] if os.path.exists(path)]
        writable = [config["scratch"], "/dev/null"]
        if keeps_root:
            _attempt(layers, "no_capabilities", linux.drop_capabilities, required=False)
    _attempt(layers, "subreaper", lambda: linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1), required=private)
    _attempt(layers, "no_new_privs", lambda: linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1), required=private)
    version = _attempt(layers, "landlock", lambda: landlock.restrict(readable, writable), required=private)
    _attempt(layers, "undumpable", lambda: linux.prctl(linux.PR_SET_DUMPABLE, 0), required=private)
    truncates = private or (version or 0) >= 3
    filter_ = _attempt(
        layers, "seccomp", lambda: seccomp.Filter(private=private, truncates=truncates), required=private
    )
    _attempt(layers, "rlimits", lambda: _limit_for_good(config), required=True)
    if sys.platform == "linux":
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    return layers, filter_


def _enter_namespaces(config: dict[str, Any], commands: socket, layers: dict[str, str], *, keeps_root: bool) -> None:
    in_user_namespace = namespaces.enter(keeps_root=keeps_root)
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
    _reopen_standard_files()  # those of the host would let a program change the host's device
    namespaces.give_up_root(in_user_namespace=in_user_namespace)
    for name in ("user_namespace", *namespaces.NAMESPACES, "read_only_root", "limited_tmpfs", "no_capabilities"):
        layers[name] = "on"
    sys.path[:] = [path for path in sys.path if "packages" not in path] + [namespaces.PACKAGES]
    namespaces.move_imports()


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


def _limit_for_good(config: dict[str, Any]) -> None:
    """Limits that are the same for every program; children cannot raise them."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, config["open_files"])
    _lower(resource.RLIMIT_FSIZE, config["output_bytes"])
    if sys.platform == "linux":
        _lower(resource.RLIMIT_MEMLOCK, 0)
        _lower(resource.RLIMIT_SIGPENDING, config["pending_signals"])
    if config["isolation"] == "full":
        _lower(resource.RLIMIT_NPROC, config["processes"])


def _lower(kind: int, value: int) -> None:
    """Set soft and hard limit, never above the hard limit there is."""
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))
