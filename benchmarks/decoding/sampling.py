"""Cost of sampling beside a forward with a real vocabulary: CPU milliseconds by rule, heads and batch, beside greedy decoding.

    python -m benchmarks.decoding.sampling [--quick] [--vocabulary 32768] [--width 256] [--layers 12] [--sharpness 5] [--json FILE]

The model has random weights, since only the time of a forward matters; its unembedding is scaled by `--sharpness`, which decides
how wide a nucleus is: 5 gives about 2 nats at temperature 0.8, as a language model has on hard text. Ways take turns, and the
fastest turn of each counts.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace

import torch

from benchmarks.study import save, study_parser
from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.candidates import COUNTS
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.tasks.problem import Request

WAYS = {
    "greedy": DecodingSettings(decode="self-speculative"),
    "top-p 0.95": DecodingSettings(decode="self-speculative", temperature=0.8, top_p=0.95),
    "top-k 40": DecodingSettings(decode="self-speculative", temperature=0.8, top_k=40),
    "temperature 0.8": DecodingSettings(decode="self-speculative", temperature=0.8),
    "rejection, top-p 0.95": DecodingSettings(
        decode="self-speculative", temperature=0.8, top_p=0.95, acceptance="rejection"
    ),
}


def random_backend(vocabulary: int, width: int, layers: int, sharpness: float) -> NativeBackend:
    """A model with four heads and random weights."""
    config = ModelConfig(
        vocab_size=vocabulary,
        d_model=width,
        n_layers=layers,
        n_heads=width // 32,
        d_ff=-(-8 * width // 24) * 8,
        context_length=512,
        n_future=4,
    )
    model = new_model(config, seed=0)
    with torch.no_grad():
        model.lm_head.weight.mul_(sharpness)
    return NativeBackend.of_model(model, ByteTokenizer())


def milliseconds(backend: NativeBackend, settings: DecodingSettings, batch: int, tokens: int) -> float:
    """CPU time of one forward of the batch, prompts included."""
    requests = [Request(str(i), 0, "def f(x):\n    return x\n" * 3, i, (), tokens) for i in range(batch)]
    started = time.process_time()
    done = list(backend.generate(requests, settings))
    return 1000 * (time.process_time() - started) / max(completion.n_forwards for completion in done)


def main() -> None:
    parser = study_parser(__doc__, "two turns of 16 tokens")
    for name, default in (("vocabulary", 32768), ("width", 256), ("layers", 12)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--sharpness", type=float, default=5.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    backend = random_backend(given.vocabulary, given.width, given.layers, given.sharpness)
    turns, tokens = (2, 16) if given.quick else (7, 64)
    figures = []
    print("| batch | heads | " + " | ".join(WAYS) + " |\n|---|---|" + "---|" * len(WAYS))
    for batch in (1, 8):
        for heads in (1, 4):
            best = dict.fromkeys(WAYS, float("inf"))
            for _ in range(turns):
                for way, settings in WAYS.items():
                    asked = replace(settings, draft_heads=heads, batch_size=batch)
                    best[way] = min(best[way], milliseconds(backend, asked, batch, tokens))
            figures.append({"batch": batch, "heads": heads, "milliseconds": best})
            cells = [f"{ms:.1f} ms ({ms / best['greedy']:.2f})" for ms in best.values()]
            print(f"| {batch} | {heads} | " + " | ".join(cells) + " |", flush=True)
    print(f"\npositions sampled: {json.dumps(dict(COUNTS))}")
    save(given.json, figures)


if __name__ == "__main__":
    main()
