"""Divergences of drafting from plain decoding over 10,000 tokens, by dtype, each with its logit gap.

    python -m benchmarks.decoding.exactness --model CKPT [--dtype float32 bfloat16] [--tokens 10000]
    python -m benchmarks.decoding.exactness --grid

Plain decoding runs row by row; drafting runs in batches. Both paths round differently, so near-ties may fall either way:
the gap says how near. In float64 there is nothing to report; `--grid` demands that of n = 2, 4, 8, every kind of heads,
every number of them, batches of 1, 3 and 8 unequal prompts, with and without stop strings. Its oracle is the model's
forward without a cache, token by token.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import torch

from benchmarks.decoding.prompts import requests
from benchmarks.decoding.quick_model import quick_model
from benchmarks.study import save, study_parser
from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.models.config import HeadKind
from mtp_eval.harness.models.tokenizers import prompt_ids
from mtp_eval.tasks.problem import Completion, Request


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


KINDS: tuple[HeadKind, ...] = ("parallel", "causal", "anticausal", "linear", "replicated")
STOPS = ("\n\n", " * ", "n é")
PROMPTS = (
    "def add(a, b):",
    "x",
    "",
    "def mul(x, y):\n    ret",
    "é",
    "return a" * 9,
    "def",
    "def sub(a, b):\n    return a - b\n",
)


def functions(n: int = 2000, seed: int = 0) -> bytes:
    """A text that a model of some ten thousand parameters learns in part, so that some drafts are right and some wrong."""
    choose = random.Random(seed).choice
    names = ("add", "sub", "mul", "div", "first", "größe")
    arguments = (("a", "b"), ("x", "y"), ("left", "right"), ("é", "n"))
    lines = []
    for _ in range(n):
        one, two = choose(arguments)
        lines.append(f"def {choose(names)}({one}, {two}):\n    return {one} {choose('+-*/')} {two}\n\n")
    return "".join(lines).encode()


def grid(new_tokens: int = 32) -> list[dict[str, Any]]:
    """One row per n and kind of heads: completions compared, and how many differ."""
    rows, text = [], functions()
    for n_future in (2, 4, 8):
        for kind in KINDS:
            backend = quick_model(120, n_future, head_kind=kind, d_model=32, trunk=2, text=text)
            backend = NativeBackend.of_model(backend.model.double(), backend.tokenizer)
            wanted = [
                Request(f"{prompt} {bool(stop)}", 0, prompt, 0, stop, new_tokens)
                for prompt in PROMPTS
                for stop in ((), STOPS)
            ]
            expected = {r.problem_id: plainly(backend, r) for r in wanted}
            compared, wrong, tokens, forwards = 0, 0, 0, 0
            for heads in range(1, n_future + 1):
                for batch in (1, 3, 8):
                    settings = DecodingSettings(decode="self-speculative", draft_heads=heads, batch_size=batch)
                    for c in backend.generate(wanted, settings):
                        compared += 1
                        wrong += not same(c, *expected[c.problem_id])
                        if heads == n_future:
                            tokens, forwards = tokens + c.n_tokens, forwards + c.n_forwards
            ends = Counter(reason for _, _, reason in expected.values())
            rows.append(
                {"n": n_future, "kind": kind, "compared": compared, "differ": wrong, "ends": dict(ends),
                 "tokens_per_forward": tokens / forwards}
            )  # fmt: skip
    return rows


@torch.inference_mode()
def plainly(backend: NativeBackend, request: Request) -> tuple[str, int, str]:
    """Text, number of tokens and stop reason of greedy decoding, written the slow way."""
    tokenizer = backend.tokenizer
    prompt, new = prompt_ids(tokenizer, request.prompt), list[int]()
    while len(new) < request.max_new_tokens:
        new.append(int(backend.model(torch.tensor([prompt + new]))[0][0, -1].argmax()))
        if new[-1] in tokenizer.eos_ids:
            return tokenizer.decode(new[:-1]), len(new), "eos"
        text = tokenizer.decode(new)
        if places := [at for at in (text.find(stop) for stop in request.stop) if at >= 0]:
            return text[: min(places)], len(new), "stop"
    return tokenizer.decode(new), len(new), "length"


def same(found: Completion, text: str, n_tokens: int, reason: str) -> bool:
    """Whether a completion is the oracle's; at its length an incomplete character may be missing from its text."""
    incomplete = text[len(found.text) :] if reason == "length" else ""
    whole = (
        found.text + incomplete == text and len(incomplete) <= 3 and all("\udc80" <= c <= "\udcff" for c in incomplete)
    )
    return whole and (found.n_tokens, found.stop_reason) == (n_tokens, reason)


def main() -> None:
    """Command line."""
    parser = study_parser(__doc__)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tokens", type=int, default=10_000)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--grid", action="store_true", help="the float64 grid instead")
    args = parser.parse_args()
    if args.quick:
        args.tokens, args.new_tokens, args.dtype = 600, 48, ["float32"]
    if args.grid:
        found = grid()
        print("| n | heads | compared | differ | ended | tokens per forward |")
        print("|---|---|---|---|---|---|")
        for row in found:
            ends = ", ".join(f"{reason} {count}" for reason, count in sorted(row["ends"].items()))
            print(
                f"| {row['n']} | {row['kind']} | {row['compared']} | {row['differ']} | {ends} | "
                f"{row['tokens_per_forward']:.2f} |"
            )
        save(args.json, found)
        raise SystemExit(any(row["differ"] for row in found))
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
    save(args.json, results)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
