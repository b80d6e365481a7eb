"""Execution options: those of every command that executes programs."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from mtp_eval.harness.config import Config
from mtp_eval.sandbox import Executor, Pool
from mtp_eval.sandbox.by_reference import ByReference, Interpreter
from mtp_eval.sandbox.program import DEFAULT_MEMORY_BYTES, DEFAULT_TIMEOUT_SECONDS

Isolation = Literal["full", "process"]


class ExecutionOptions(Config):
    """The sandbox's options; `open` makes the executor that they describe."""

    GROUP: ClassVar[str] = "Executing"

    timeout: float = Field(
        default=DEFAULT_TIMEOUT_SECONDS, gt=0.0, allow_inf_nan=False, description="Seconds per program."
    )
    memory_bytes: int = Field(default=DEFAULT_MEMORY_BYTES, ge=1 << 26, description="Memory per program, in bytes.")
    isolation: Isolation = Field(
        default="full", description="full needs namespaces; process is weaker, for hosts that lack them."
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        description="Programs executed at once, on each machine.",
        json_schema_extra={"default": "one per core"},
    )
    interpreter: Interpreter = Field(
        default="auto",
        description="Where tests run: auto decides by a problem's reference, or else by the text of its tests; "
        "program runs them in the program's own interpreter, where a pass could be forged; outside never does.",
    )
    max_infrastructure_errors: float = Field(
        default=0.01, ge=0.0, le=1.0, description="Share of programs that the sandbox may break on before a run fails."
    )
    cluster: str | None = Field(
        default=None,
        description="Ray cluster on which models generate and programs run: auto is the one that this machine is a part of.",
        json_schema_extra={"metavar": "auto|ray://HOST:PORT", "default": "this machine alone"},
    )

    def open(self) -> Executor:
        """The executor of a run: a pool on this machine or on each of a cluster's, with problems judged as their references can be.

        The one place in harness/ that chooses one.

        Raises:
            IsolationUnavailable: a layer of the isolation asked for is missing.
            InputError: there is no such cluster.
        """
        return ByReference(self._executor(), self.interpreter)

    def _executor(self) -> Executor:
        options: dict[str, Any] = {
            "workers": self.workers,
            "timeout_seconds": self.timeout,
            "memory_bytes": self.memory_bytes,
            "isolation": self.isolation,
        }
        if self.cluster is None:
            return Pool(**options)
        from mtp_eval.harness.cluster.executor import RayExecutor
        from mtp_eval.harness.cluster.ray_cluster import Cluster

        return RayExecutor(Cluster(self.cluster), options)
