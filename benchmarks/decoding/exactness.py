"""How often drafting changes a token: divergences from plain decoding over 10,000 tokens, by dtype, each with its logit gap.

    python -m benchmarks.decoding.exactness --model CKPT [--dtype float32 bfloat16] [--tokens 10000]

Plain decoding runs row by row; drafting runs in batches. Both paths round differently, so near-ties may fall either way:
the gap says how near. In float64 there is nothing to report, and the tests insist on that.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.decoding.prompts import requests
from benchmarks.decoding.quick_model import quick_model
from mtp_eval.harness.decoding.native import NativeBackend
from mtp_eval.harness.models.backend import DecodingSettings


def study(backend: NativeBackend, n_tokens: int, batch: int, new_tokens: int) -> list[dict[str, Any]]:
    """Greedy and sampled, with all heads."""
    wanted = requests(backend.tokenizer, "code", max(1, -(-n_tokens // new_tokens)), 64, new_tokens)
    rows = []
    for name, temperature, top_p in (("greedy", 0.0, 1.0), ("temperature 0.8, top-p 0.95", 0.8, 0.95)):
        settings = DecodingSettings(temperature, top_p, decode="self-speculative", batch_size=batch)
        done = list(backend.generate(wanted, settings))
        report = backend.verify(wanted, done, settings)
        rows.append(
            {
                "decoding": name,
                "tokens": report.n_tokens,
                "completions": report.n_completions,
                "diverged": len(report.divergences),
                "largest_gap": report.largest_gap,
                "tokens_per_forward": sum(c.n_tokens for c in done) / sum(c.n_forwards for c in done),
            }
        )
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tokens", type=int, default=10_000)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.quick:
        args.tokens, args.new_tokens, args.dtype = 600, 48, ["float32"]
    results = []
    print("| model | dtype | decoding | tokens | completions | diverged | largest logit gap | tokens per forward |")
    print("|---|---|---|---|---|---|---|---|")
    for path in args.model or [None]:
        for dtype in args.dtype:
            backend = NativeBackend(path, device=args.device, dtype=dtype) if path else quick_model()
            for row in study(backend, args.tokens, args.batch, args.new_tokens):
                results.append({"model": backend.name, "dtype": dtype, **row})
                print(
                    f"| {backend.name} | {dtype} | {row['decoding']} | {row['tokens']} | {row['completions']} | "
                    f"{row['diverged']} | {row['largest_gap']:.1e} | {row['tokens_per_forward']:.2f} |",
                    flush=True,
                )
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
