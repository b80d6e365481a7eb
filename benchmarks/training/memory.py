"""Peak memory of a step above model and optimizer, by n: head by head, chunked, and in one naive graph."""

from __future__ import annotations

import argparse
import json
import resource
from contextlib import nullcontext

import torch

from benchmarks.study import save, study_parser
from benchmarks.training.setups import configuration, in_a_fresh_process, machine, random_batch, stepper
from mtp_eval.harness.training.loss import naive_backward

HERE = "benchmarks.training.memory"


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(n_future: int, way: str, vocab_size: int, match: str, precision: str) -> dict[str, float]:
    """MiB that one step adds to what is resident with the optimizer's state, in this (fresh) process."""
    torch.set_num_threads(1)
    chunk = 0 if way != "chunked" else 1024
    config = configuration(
        width=256,
        layers=6 if match == "layers" or n_future < 6 else n_future + 2,
        heads=8,
        length=512,
        batch=8,
        n_future=n_future,
        match=match,
        precision=precision,
        device="cpu",
        loss={"chunk_tokens": chunk},
    )
    run = stepper(config, vocab_size)
    batch = random_batch(config, vocab_size, n_future)
    for parameter in run.model.parameters():  # AdamW's state and the gradients are resident before the step
        parameter.grad = torch.zeros_like(parameter)
    run.optimizer.step()
    base = peak_kib()
    inputs, targets = run.tensors(batch)
    scale, weights = 1 / config.tokens_per_step, [1.0] * n_future
    if way == "naive":
        with run.runtime.autocast() if precision == "bf16" else nullcontext():
            naive_backward(run.model, inputs, targets, weights, scale)
    else:
        run.backward(inputs, targets, weights, scale)
    parameters = sum(p.numel() for p in run.model.parameters())
    return {"parameters": parameters, "base_mib": base / 1024, "step_mib": (peak_kib() - base) / 1024}


def main() -> None:
    parser = study_parser(__doc__)
    parser.add_argument("--one", nargs=5, metavar=("N", "WAY", "V", "MATCH", "PRECISION"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        n, way, vocab, match, precision = arguments.one
        print(json.dumps(measure(int(n), way, int(vocab), match, precision)))
        return
    cases = [(n, way, 32768, "params") for way in ("sequential", "naive") for n in (1, 2, 4)]
    cases += [(n, "chunked", 32768, "params") for n in (1, 4)]
    cases += [(8, way, 32768, match) for way in ("sequential", "naive") for match in ("layers",)]
    if arguments.quick:
        cases = [(1, "sequential", 32768, "params"), (4, "sequential", 32768, "params"), (4, "naive", 32768, "params")]
    rows = []
    print("d=256, L=6, T=512, B=8, V=32768, fp32, one thread; MiB of one step above model, gradients and optimizer")
    for n, way, vocab, match in cases:
        found = json.loads(in_a_fresh_process(HERE, "--one", str(n), way, str(vocab), match, "fp32"))
        rows.append({"n": n, "way": way, "match": match, **found})
        base = next((row["step_mib"] for row in rows if row["n"] == 1 and row["way"] == way), None)
        ratio = f"{found['step_mib'] / base:5.2f} x n=1" if base else ""
        print(
            f"n={n} {way:<10} {match:<7} {found['parameters'] / 1e6:6.2f}M  {found['step_mib']:7.0f} MiB  {ratio}",
            flush=True,
        )
    save(arguments.json, {"machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
