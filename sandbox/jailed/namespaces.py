"""The jail's own view of the machine: namespaces, and a read-only root with nothing but Python in it.

Two ways in. As root the namespaces are made directly and the user is given up afterwards; otherwise, or where root is
not allowed to, a user namespace makes them. Either way the result has no /proc, no network, no host folder that can be
written, and one tmpfs of limited size and inodes at /tmp.
"""

from __future__ import annotations

import ctypes
import os
import re
import stat
import sys
from collections.abc import Mapping
from typing import Any

from mtp_eval.sandbox import linux

NAMESPACES = {
    "mount_namespace": linux.CLONE_NEWNS,
    "pid_namespace": linux.CLONE_NEWPID,
    "network_namespace": linux.CLONE_NEWNET,
    "ipc_namespace": linux.CLONE_NEWIPC,
    "uts_namespace": linux.CLONE_NEWUTS,
}
JAIL_UID = 64321
"""The user that programs run as, by what they see; outside it is the harness's, or nobody's where that is root."""
SCRATCH = "/tmp"
_MOVED = "/moved"
PACKAGES = "/packages"
"""Where the allowed third-party packages appear inside."""
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache")
_CAP_SETGID, _CAP_SETUID, _CAP_SYS_ADMIN = 6, 7, 21
_DEVICES = {
    "/dev/null": (1, 3),
    "/dev/zero": (1, 5),
    "/dev/full": (1, 7),
    "/dev/random": (1, 8),
    "/dev/urandom": (1, 9),
}
"""With their numbers."""


def keeps_root(config: Mapping[str, Any]) -> bool:
    """Whether programs run as the host's root, without its rights: where it cannot become another user, as in many
    containers, or no other user may read this Python, as after an installation under umask 077.
    """
    if os.geteuid() != 0:
        return False
    if not all(_is_mapped(f"/proc/self/{name}", JAIL_UID) for name in ("uid_map", "gid_map")):
        return True
    with open("/proc/self/status") as file:
        found = re.search(r"^CapEff:\s*(\w+)", file.read(), re.MULTILINE)
    capabilities = int(found[1], 16) if found else 0
    if not all(capabilities >> bit & 1 for bit in (_CAP_SETGID, _CAP_SETUID, _CAP_SYS_ADMIN)):
        return True
    needed = [f"{config['stdlib']}/{name}" for name in ("", "os.py", "lib-dynload")]
    needed += [f"{path}/__init__.py" if os.path.isdir(path) else path for path in config["packages"].values()]
    return not all(os.stat(path).st_mode & stat.S_IROTH for path in needed if os.path.exists(path))


def _is_mapped(path: str, number: int) -> bool:
    """Whether this user namespace has such a user or group at all."""
    with open(path) as file:
        ranges = [list(map(int, line.split())) for line in file]
    return any(first <= number < first + count for first, _, count in ranges)


def enter(*, keeps_root: bool) -> bool:
    """Leave the host's namespaces; true when a user namespace was used for it. The next fork is PID 1 of the jail.

    Raises:
        OSError: the host does not allow it; `Host.missing` says which.
    """
    everything = 0
    for flag in NAMESPACES.values():
        everything |= flag
    if os.geteuid() == 0 and not keeps_root:
        linux.unshare(everything)
        return False
    uid, gid = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWUSER | everything)
    inside = (("setgroups", "deny"), ("uid_map", f"{JAIL_UID} {uid} 1"), ("gid_map", f"{JAIL_UID} {gid} 1"))
    for name, text in inside:
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return True


class Host:
    """The namespaces that the host gives, looked at before anything is entered, to explain a failure later."""

    def __init__(self) -> None:
        self.pid, self.has_proc = os.getpid(), os.path.exists("/proc/self/status")
        self.in_chroot = self.has_proc and _in_chroot()
        self.no_devices = [
            path for path in _DEVICES if os.path.exists(path) and not stat.S_ISCHR(os.stat(path).st_mode)
        ]

    def missing(self) -> dict[str, str]:
        """The namespaces that cannot be made here, with the reason; each is tried in a child of its own."""
        if not self.has_proc:
            return {"/proc": "it is not mounted here"}
        if self.in_chroot:
            return {
                "user_namespace": "the kernel gives none in a chroot; bwrap or systemd-nspawn in its place would do"
            }
        if self.no_devices:
            remedies = {path: "{} {}".format(*_DEVICES[path]) for path in self.no_devices}
            return {
                path: f"it is a file here, not the device; as root: rm {path} && mknod -m 666 {path} c {numbers}"
                for path, numbers in remedies.items()
            }
        if os.getpid() != self.pid:  # all of them were made
            return {}
        tried = {
            name: _try_unshare(flag) for name, flag in {"user_namespace": linux.CLONE_NEWUSER, **NAMESPACES}.items()
        }
        return {name: reason for name, reason in tried.items() if reason}


def _in_chroot() -> bool:
    """Whether the root folder is no file system's, or not the first process's; the latter only root may see."""
    with open("/proc/self/mountinfo") as file:
        if not any(line.split()[4] == "/" for line in file):
            return True
    try:
        return not os.path.samestat(os.stat("/proc/1/root/"), os.stat("/"))
    except OSError:
        return False


def _try_unshare(flags: int) -> str:
    if flags != linux.CLONE_NEWUSER and os.geteuid() != 0:
        flags |= linux.CLONE_NEWUSER
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            linux.unshare(flags)
        except OSError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading) as file:
        return file.read()


def build_root(stdlib: str, library: str, packages: Mapping[str, str], tmp_bytes: int, tmp_inodes: int) -> None:
    """Replace this process's root by a read-only one, in which every path is the host's; `moved` names the exceptions.

    Args:
        stdlib: the folder of Python's standard library.
        library: the folder of shared libraries that belongs to this Python (its prefix's lib).
        packages: name -> folder or file on the host of each package that programs may import.
    """
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    wanted = {moved(path): path for path in (*_LIBRARIES, stdlib, library, *_DEVICES)}
    wanted |= {f"{PACKAGES}/{os.path.basename(path)}": path for path in packages.values()}
    links = {path: os.readlink(path) for path in _LIBRARIES if os.path.islink(path)}
    wanted = _without_nested({inside: host for inside, host in wanted.items() if host not in links})
    # Opened before /tmp is covered (the interpreter may live there) and in this mount namespace (older ones are refused).
    sources = {inside: os.open(host, os.O_PATH) for inside, host in wanted.items() if os.path.exists(host)}

    root = "/tmp" if os.path.isdir("/tmp") else "/mnt"
    linux.mount("jail", root, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=1m,nr_inodes=1000")
    for inside, fd in sources.items():
        _bind(fd, root + inside, is_device=inside in _DEVICES)
    for inside, target in links.items():
        os.symlink(target, root + inside)
    _hide_other_packages(root, [inside for inside in sources if inside not in _DEVICES])
    os.makedirs(root + PACKAGES, exist_ok=True)
    os.makedirs(root + SCRATCH)
    scratch = f"mode=777,size={tmp_bytes},nr_inodes={tmp_inodes}"
    linux.mount("scratch", root + SCRATCH, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, scratch)

    os.chdir(root)
    linux.pivot_root(".", ".")
    linux.umount_detached(".")
    linux.mount(None, "/", None, linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV)
    os.chdir(SCRATCH)
    ctypes.CDLL(None).sethostname(b"sandbox", 7)


def moved(path: str) -> str:
    """The place inside the jail of a path of the host: below a folder of its own if the programs' scratch folder would hide it."""
    return f"{_MOVED}{path}" if path.startswith(f"{SCRATCH}/") else path


def move_imports() -> None:
    """Let the import system look where this Python's library is now, if it has been moved."""
    sys.path[:] = map(moved, sys.path)
    sys.path_importer_cache.clear()
    for module in list(sys.modules.values()):
        spec = getattr(module, "__spec__", None)
        for holder, names in ((module, ("__file__", "__cached__")), (spec, ("origin", "cached"))):
            for name in names:
                path = getattr(holder, name, None)
                if isinstance(path, str) and path != moved(path):
                    setattr(holder, name, moved(path))
        for folders in (getattr(module, "__path__", None), getattr(spec, "submodule_search_locations", None)):
            if isinstance(folders, list):
                folders[:] = map(moved, folders)


def _without_nested(wanted: dict[str, str]) -> dict[str, str]:
    """Without the paths that another one already contains."""

    def contains(other: tuple[str, str], inside: str, host: str) -> bool:
        rest = inside.removeprefix(f"{other[0]}/")
        return rest != inside and host == f"{other[1]}/{rest}"

    return {
        inside: host
        for inside, host in wanted.items()
        if not any(contains(other, inside, host) for other in wanted.items())
    }


def _bind(fd: int, target: str, *, is_device: bool) -> None:
    source = f"/proc/self/fd/{fd}"
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    linux.mount(source, target, None, linux.MS_BIND | linux.MS_REC)
    linux.make_read_only(target, devices=is_device)  # devices as well: they can be written, but not changed
    os.close(fd)


def _hide_other_packages(root: str, inside: list[str]) -> None:
    """Cover installed third-party packages, among them the benchmarks' own answers, with empty folders."""
    for folder in inside:
        parents = [root + folder]
        if os.path.isdir(parents[0]):
            parents += [entry.path for entry in os.scandir(parents[0]) if entry.name.startswith("python")]
        for path in (f"{parent}/{name}" for parent in parents for name in ("site-packages", "dist-packages")):
            if os.path.isdir(path):
                linux.mount("empty", path, "tmpfs", linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV, "mode=755")


def give_up_root(*, in_user_namespace: bool) -> None:
    """Become a user without any capability, in a user namespace of its own where there is none yet.

    Raises:
        OSError: the kernel refuses; the message names the call.
    """
    if not in_user_namespace:
        os.setgroups([])
        os.setresgid(JAIL_UID, JAIL_UID, JAIL_UID)
        os.setresuid(JAIL_UID, JAIL_UID, JAIL_UID)
        try:
            linux.unshare(linux.CLONE_NEWUSER)
        except OSError as error:
            raise OSError(error.errno, f"user_namespace ({error.strerror})") from None
    linux.drop_capabilities()
