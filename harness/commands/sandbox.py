"""`mtp-eval sandbox check`: which isolation layers are in force here, and small programs that try to get past them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mtp_eval.harness.commands.lazy import group
from mtp_eval.harness.commands.options import Given, command

if TYPE_CHECKING:
    from mtp_eval.harness.evaluation.execution import ExecutionOptions


def execution_options() -> type[ExecutionOptions]:
    """The options of every command that executes programs."""
    from mtp_eval.harness.evaluation.execution import ExecutionOptions

    return ExecutionOptions


@command("mtp-eval sandbox check", "mtp-eval sandbox check --isolation process", config=execution_options)
def check(given: Given) -> None:
    """Print the layers in force, run the probes that prove them, and exit with 4 when anything is missing or fails."""
    from mtp_eval.sandbox.errors import IsolationUnavailable
    from mtp_eval.sandbox.probes import run_probes

    options = execution_options().given({"workers": 1, **given})
    with options.open() as pool:
        print(f"isolation: {pool.isolation}")
        for layer, state in pool.layers.items():
            print(f"  {layer:<20} {state}")
        print("probes:")
        failed = []
        for result in run_probes(pool):
            mark = "held" if result.held else "FAILED"
            got = result.outcome.verdict + (f" ({result.outcome.error})" if result.outcome.error else "")
            print(f"  {mark:<7} {result.probe.what}: {got}")
            if not result.held:
                failed.append(result.probe.name)
    if failed:
        raise IsolationUnavailable(f"the probes {', '.join(failed)} got through; do not run untrusted programs here")
    print(f"all probes held; programs run with isolation {options.isolation!r}")


sandbox = group({"Commands": {"check": lambda: check}})


@sandbox.callback()
def _sandbox(context: typer.Context) -> None:
    """Look at the sandbox that runs generated programs."""
    if context.invoked_subcommand is None:
        print(context.get_help())
