"""Heads added to a finished model: trained on a frozen trunk for some minutes, what do their drafts save on code that nobody trained on?

    mtp-eval convert HF-FOLDER CKPT
    python -m benchmarks.models.added_heads --model CKPT --out WORK

Heads 2..4 begin as copies of the last layer and learn from the standard library. Tokens per forward are of greedy decoding of held-out
files, before and after, by heads used; every text is compared with that of the model without heads. With --humaneval all of HumanEval is
asked twice, plainly and with drafts. Training is counted in steps and CPU seconds: a busy machine does not shorten it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.decoding.prompts import requests
from benchmarks.study import save, study_parser
from mtp_eval.harness import run, train
from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.models.convert.convert import convert
from mtp_eval.tasks.problem import Completion, Request

N_FUTURE = 4


def written(model: Path, wanted: list[Request], heads: int) -> list[Completion]:
    """Greedy completions with so many heads, in the order of the requests."""
    settings = DecodingSettings(
        decode="self-speculative" if heads > 1 else "autoregressive", draft_heads=heads, batch_size=1
    )
    done = {
        found.problem_id: found
        for found in NativeBackend(model, device="cpu", dtype="float32").generate(wanted, settings)
    }
    return [done[request.problem_id] for request in wanted]


def drafted(model: Path, wanted: list[Request], plain: list[Completion]) -> dict[str, Any]:
    """Tokens per forward by heads used, how often each head was right, and how many texts are those of plain decoding."""
    found: dict[str, Any] = {}
    for heads in range(2, N_FUTURE + 1):
        done = written(model, wanted, heads)
        judged, kept = (
            [sum(getattr(c, name)[j] for c in done) for j in range(heads - 1)] for name in ("n_drafted", "n_accepted")
        )
        found[str(heads)] = {
            "tokens_per_forward": sum(c.n_tokens for c in done) / sum(c.n_forwards for c in done),
            "kept": [k / max(n, 1) for k, n in zip(kept, judged, strict=True)],
            "texts_equal": sum(a.text == b.text for a, b in zip(done, plain, strict=True)),
        }
        print(f"  {heads} heads: {found[str(heads)]['tokens_per_forward']:.3f} tokens per forward, drafts kept "
              f"{[round(share, 3) for share in found[str(heads)]['kept']]}, {found[str(heads)]['texts_equal']} of {len(plain)} texts equal",
              flush=True)  # fmt: skip
    return found


def trained(model: Path, out: Path, steps: int, rate: float) -> dict[str, float]:
    """Train the heads; steps, tokens and seconds."""
    changes: dict[str, Any] = {
        "init": str(model), "freeze": "trunk", "steps": steps, "batch_size": 2, "micro_batch_size": 2, "threads": 1, "device": "cpu",
        "model.n_future": N_FUTURE, "model.context_length": 256, "optimizer.learning_rate": rate,
        "optimizer.warmup_steps": max(steps // 10, 1), "loss.head_weights": [0.0] + [1.0] * (N_FUTURE - 1),
        "validate_every": 0, "validation_windows": 8, "checkpoint_every": 0,
    }  # fmt: skip
    wall, cpu = time.monotonic(), time.process_time()
    train("code-small-n4", out, changes=changes)
    return {"steps": steps, "tokens": steps * 512, "wall": time.monotonic() - wall, "cpu": time.process_time() - cpu}


def main() -> None:
    parser = study_parser(__doc__, "two steps, two prompts")
    parser.add_argument("--model", type=Path, required=True, help="a next-token checkpoint of ours")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model with heads")
    parser.add_argument("--steps", type=int, default=400, help="of 512 tokens")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--prompts", type=int, default=12)
    parser.add_argument("--humaneval", action="store_true")
    options = parser.parse_args()
    steps, n = (2, 2) if options.quick else (options.steps, options.prompts)
    copies, heads = options.out / "copies", options.out / "heads"
    if not copies.is_dir():
        convert(options.model, copies, n_future=N_FUTURE)
    figures: dict[str, Any] = {}
    if not heads.is_dir():
        figures["training"] = trained(options.model, heads, steps, options.learning_rate)
        print(f"trained: {figures['training']}", flush=True)
    wanted = requests(NativeBackend(copies, device="cpu").tokenizer, "code", n, 128, 16 if options.quick else 64)
    plain = written(options.model, wanted, 1)
    for name, folder in (("copies of the last layer", copies), ("trained", heads)):
        print(f"{name}, {n} held-out prompts:", flush=True)
        figures[name] = drafted(folder, wanted, plain)
    if options.humaneval:
        asked: dict[str, Any] = {"task": "humaneval@0shot", "dtype": "float32", "shard_size": 41, "batch_size": 41}
        asked |= {"limit": 4, "max_new_tokens": 16} if options.quick else {}
        runs = [run(model=str(options.model), out=options.out / "humaneval-plain", **asked),
                run(model=str(heads), decode="self-speculative", out=options.out / "humaneval-heads", **asked)]  # fmt: skip
        texts = [{record.problem_id: record.completion.text for record in made.records()} for made in runs]
        cells = [made.to_frame(ks=[1]).iloc[0] for made in runs]
        figures["humaneval"] = {
            "pass@1": [float(cell.score) for cell in cells],
            "texts_equal": sum(texts[1][name] == text for name, text in texts[0].items()),
            "problems": len(texts[0]),
            "tokens_per_forward": float(cells[1].tokens_per_forward),
        }
        print(f"HumanEval: {figures['humaneval']}")
    save(options.json, figures)


if __name__ == "__main__":
    main()
