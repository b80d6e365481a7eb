"""Folders of a jail under the host's temporary folder, also of jails whose process was killed and could not remove theirs.

Needed in isolation "process" only: in full isolation a jail's folders are in its own mount, which goes with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator

PREFIX = "mtp-eval-jail-"


class JailFolders:
    """Two new folders, locked for as long as this process lives.

    Args of a jail: `scratch` is the program's, `packages` holds links to what it may import.
    """

    def __init__(self) -> None:
        remove_left()
        while True:
            self.root = tempfile.mkdtemp(prefix=PREFIX)
            self._lock = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if os.path.isdir(self.root):  # nobody took it for left between the two calls
                break
            os.close(self._lock)
        self.scratch, self.packages = (os.path.join(self.root, name) for name in ("scratch", "packages"))
        os.mkdir(self.scratch, 0o700)
        os.mkdir(self.packages, 0o700)

    def remove(self) -> None:
        """Remove both, and what killed jails left; may be called twice."""
        if self._lock >= 0:
            _remove(self.root)
            os.close(self._lock)
            self._lock = -1
        remove_left()


def remove_left() -> None:
    """Remove the folders of jails that have ended: those of this user that nobody holds locked."""
    for path in _of_this_user():
        with contextlib.suppress(OSError):
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(folder)


def _of_this_user() -> Iterator[str]:
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.name.startswith(PREFIX) and entry.stat(follow_symlinks=False).st_uid == os.getuid():
                    yield entry.path


def _remove(path: str) -> None:
    with contextlib.suppress(
        RecursionError
    ):  # a program's tree of more levels than Python's stack has; the rest is gone
        shutil.rmtree(path, ignore_errors=True)
