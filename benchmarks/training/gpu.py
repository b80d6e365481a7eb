"""MFU, tokens/s and peak memory of 100M and 300M models with n = 1, 4 on a GPU (on a CPU: a toy run of the same code)."""

from __future__ import annotations

import json
import time
from typing import Any

import torch

from benchmarks.study import save, study_parser
from benchmarks.training.setups import configuration, machine, random_batch, step_flops, stepper
from mtp_eval.harness.training.loss import naive_backward
from mtp_eval.harness.training.runtime import peak_flops

SIZES: dict[str, dict[str, Any]] = {
    "100M": {"width": 768, "layers": 14, "heads": 12},
    "300M": {"width": 1024, "layers": 25, "heads": 16},
    "1B": {"width": 2048, "layers": 20, "heads": 16},
    "toy": {"width": 128, "layers": 6, "heads": 4},
}


def measure(
    size: str,
    n_future: int,
    *,
    batch: int,
    length: int,
    vocab: int,
    steps: int,
    warmup: int,
    compiled: bool,
    micro: int | None,
) -> dict[str, Any]:
    """Steps per second by events on the device, after `warmup` steps that compile and allocate."""
    on_gpu = torch.cuda.is_available()
    config = configuration(
        **SIZES[size],
        length=length,
        batch=batch,
        n_future=n_future,
        compile="on" if compiled else "off",
        micro_batch_size=micro,
    )
    run = stepper(config, vocab)
    window = random_batch(config, vocab, n_future)
    started = time.perf_counter()
    for step in range(warmup):
        run.step(step, window)
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    warm_seconds = time.perf_counter() - started
    resident = torch.cuda.memory_allocated() if on_gpu else 0
    times = []
    for step in range(warmup, warmup + steps):
        started = time.perf_counter()
        run.step(step, window)
        if on_gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    times.sort()
    seconds = times[len(times) // 2]
    flops = step_flops(run.model.config, config)
    peak, source = peak_flops(run.runtime)
    return {
        "size": size,
        "n_future": n_future,
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "tokens_per_step": config.tokens_per_step,
        "micro_batch": run.micro,
        "chunk_tokens": run.runtime.chunk_tokens,
        "precision": run.runtime.precision,
        "compiled": run.runtime.compile,
        "seconds_per_step": seconds,
        "fastest_seconds": times[0],
        "slowest_seconds": times[-1],
        "warmup_seconds": warm_seconds,
        "tokens_per_second": config.tokens_per_step / seconds,
        "flops_per_second": flops / seconds,
        "mfu": flops / seconds / peak if peak else None,
        "peak_of": source,
        "resident_gib": resident / 2**30,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None,
    }


def naive_peak(size: str, n_future: int, *, batch: int, length: int, vocab: int) -> float | None:
    """GiB that one naive graph of all heads peaks at, same batch, not compiled; None where it does not fit."""
    config = configuration(**SIZES[size], length=length, batch=batch, n_future=n_future, compile="off")
    run = stepper(config, vocab)
    window = random_batch(config, vocab, n_future)
    inputs, targets = run.tensors(window)
    torch.cuda.reset_peak_memory_stats()
    try:
        with run.runtime.autocast():
            naive_backward(run.model, inputs, targets, [1.0] * n_future, 1 / config.tokens_per_step)
        run.update()
    except torch.OutOfMemoryError:
        return None
    return torch.cuda.max_memory_allocated() / 2**30


def main() -> None:
    parser = study_parser(__doc__, "fewer steps")
    parser.add_argument("--sizes", nargs="*", choices=tuple(SIZES))
    parser.add_argument("--n-future", nargs="*", type=int, default=[1, 4])
    parser.add_argument("--batch", type=int, help="sequences per step")
    parser.add_argument("--micro", type=int, help="sequences at once")
    parser.add_argument("--length", type=int)
    parser.add_argument("--vocab", type=int, default=32000)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--naive", action="store_true", help="also the peak of one naive graph")
    arguments = parser.parse_args()
    on_gpu = torch.cuda.is_available()
    sizes = arguments.sizes or (["100M", "300M"] if on_gpu else ["toy"])
    batch, length = arguments.batch or (16 if on_gpu else 4), arguments.length or (2048 if on_gpu else 128)
    vocab = arguments.vocab if on_gpu else 512
    rows = []
    print(json.dumps(machine()))
    for size in sizes:
        for n in arguments.n_future:
            row = measure(
                size,
                n,
                batch=batch,
                length=length,
                vocab=vocab,
                steps=arguments.steps or (5 if arguments.quick or not on_gpu else 20),
                warmup=2 if not on_gpu else 5,
                compiled=on_gpu and not arguments.no_compile,
                micro=arguments.micro,
            )
            if on_gpu:
                torch.cuda.empty_cache()
                if arguments.naive:
                    row["naive_peak_gib"] = naive_peak(
                        size, n, batch=arguments.micro or batch, length=length, vocab=vocab
                    )
                    torch.cuda.empty_cache()
            rows.append(row)
            mfu = f"{row['mfu']:.1%} of {row['peak_of']}" if row["mfu"] is not None else "no peak known"
            memory = f"{row['peak_gib']:.2f} GiB peak" if row["peak_gib"] is not None else "memory not measured here"
            print(
                f"{size} n={n}: {row['parameters'] / 1e6:.0f}M parameters, {row['seconds_per_step'] * 1000:.1f} ms/step, "
                f"{row['tokens_per_second']:,.0f} tokens/s, {mfu}, {memory}, warm-up {row['warmup_seconds']:.0f} s",
                flush=True,
            )
    save(arguments.json, {"machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
