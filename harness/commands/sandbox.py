"""`mtp-eval sandbox check`: which isolation layers are in force here, and small programs that try to get past them."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="The sandbox that runs generated programs.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Keep the subcommand even while there is only one."""


@app.command()
def check(
    isolation: Annotated[str, typer.Option(help="full, or process where the host cannot give that.")] = "full",
) -> None:
    """Print the layers in force, run the probes that prove them, and exit with 4 when anything is missing or fails."""
    from mtp_eval.harness.evaluation.session import open_pool
    from mtp_eval.sandbox.errors import IsolationUnavailable
    from mtp_eval.sandbox.probes import run_probes

    with open_pool(workers=1, timeout=2.0, memory_bytes=1 << 30, isolation=isolation) as pool:
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
    print(f"all probes held; programs run with isolation {isolation!r}")
