"""Cost and gain of `decode=auto`, its measuring included: the same work with `auto`, plainly, and with every fixed number of heads.

    python -m benchmarks.decoding.auto --model CKPT [--model CKPT ...] [--batch 1 8] [--completions 8 32] [--new-tokens 64 128]

`auto` forgets what it measured before every round. Rates are of CPU time with one thread (of wall time elsewhere), the
median over the rounds of ratios within a round. The promise: never below 0.95.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from benchmarks.decoding import machine
from benchmarks.decoding.prompts import requests
from benchmarks.decoding.quick_model import quick_model
from benchmarks.study import save, study_parser
from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.draft_heads import candidates
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.tasks.problem import Request


def rate(backend: NativeBackend, wanted: list[Request], settings: DecodingSettings) -> float:
    """Tokens per second, with everything that the call does."""
    device = backend.model.embed_tokens.weight.device
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    machine.synchronize(device)
    start = clock()
    n_tokens = sum(c.n_tokens for c in backend.generate(wanted, settings))
    machine.synchronize(device)
    return n_tokens / (clock() - start)


def compare(backend: NativeBackend, wanted: list[Request], batch: int, rounds: int) -> dict[str, Any]:
    """Interleaved rounds of one piece of work."""
    heads = candidates(backend.config.n_future)
    settings: dict[int | str, DecodingSettings] = {
        k: DecodingSettings(decode="self-speculative", draft_heads=k, batch_size=batch) for k in heads
    }
    settings["auto"] = DecodingSettings(batch_size=batch)
    ratios: dict[int | str, list[float]] = {k: [] for k in settings}
    chosen = []
    for turn in range(rounds + 1):
        rates = {}
        for k, setting in settings.items():
            backend.forget_plans()
            rates[k] = rate(backend, wanted if turn else wanted[:batch], setting)
            if k == "auto" and turn:
                chosen.append(next((plan.draft_heads for plan in backend.plans.values()), 0))
        if turn:
            for k, value in rates.items():
                ratios[k].append(value / rates[1])
    medians = {k: statistics.median(values) for k, values in ratios.items()}
    return {"auto": medians.pop("auto"), "worst_round": min(ratios["auto"]), "chosen": chosen, "fixed": medians}


def main() -> None:
    """Command line."""
    parser = study_parser(__doc__)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--completions", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--new-tokens", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--source", nargs="+", default=["code"], choices=["code", "text", "listops"])
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    if args.quick:
        args.batch, args.completions, args.new_tokens, args.rounds = [4], [4, 8], [48], 1
    backends = [NativeBackend(path, device=args.device) for path in args.model] or [quick_model()]
    about = machine.describe(backends[0].model.embed_tokens.weight.device)
    print(f"{about['device']}, torch {about['torch']}, load {about['load']}\n")
    print("| model | source | batch | completions | new tokens | auto | worst round | chosen | fixed heads |")
    print("|---|---|---|---|---|---|---|---|---|")
    rows = []
    for backend in backends:
        for source in args.source:
            for batch in args.batch:
                for n in args.completions:
                    for new_tokens in args.new_tokens:
                        wanted = requests(backend.tokenizer, source, n, args.prompt_tokens, new_tokens)
                        row = compare(backend, wanted, batch, args.rounds)
                        rows.append(
                            {"model": backend.name, "source": source, "batch": batch, "n": n, "new": new_tokens, **row}
                        )
                        fixed = " ".join(f"{k}: {value:.2f}" for k, value in row["fixed"].items())
                        chosen = " ".join("not measured" if k == 0 else str(k) for k in row["chosen"])
                        print(
                            f"| {backend.name} | {source} | {batch} | {n} | {new_tokens} | {row['auto']:.2f} | "
                            f"{row['worst_round']:.2f} | {chosen} | {fixed} |",
                            flush=True,
                        )
    save(args.json, {"machine": about, "rows": rows})


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
