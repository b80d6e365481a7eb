"""Seeds `random` and numpy's global generator when a program imports them, so that its verdict is the same in every run.

What asks the system for randomness (`os.urandom`, `secrets`, `random.SystemRandom`, `numpy.random.default_rng()`) still gets it.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

from mtp_eval.sandbox.wire.frames import RANDOM_SEED

SEEDED = ("random", "numpy.random.mtrand")
"""Modules with a `seed` of a generator that the whole process shares."""


class SeededFinder:
    """Finds the modules of `SEEDED`, before other finders do."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The module's own spec with a loader that seeds it; None for all others."""
        if name not in SEEDED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _SeedingLoader(spec.loader)  # type: ignore[assignment]
        return spec


class _SeedingLoader:
    """No `importlib.abc.Loader`: that module brings `tempfile` and `random` itself into the zygote."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> Any:
        return self.loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        module.seed(RANDOM_SEED)


def seed_imports() -> None:
    """Seed these modules in every process that is forked from this one."""
    sys.meta_path.insert(0, SeededFinder())
