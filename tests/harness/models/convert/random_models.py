"""Tiny random models of transformers' classes, and what they and their converted selves write."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.models.checkpoint import Checkpoint
from mtp_eval.harness.models.tokenizers import trained_bpe
from mtp_eval.tasks.problem import Request
from tests.extras import needs

needs("transformers", "hf")

TOKENS = torch.randint(0, 256, (2, 40), generator=torch.Generator().manual_seed(0))
SHAPE = {
    "vocab_size": 300,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "eos_token_id": 1,
}


def made(kind: str, changes: dict[str, Any], folder: Path) -> Any:
    """A random model of transformers, saved with a tokenizer; vectors are moved away from 0 and 1, so that none can be lost."""
    torch.manual_seed(0)
    import transformers

    model = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}Config")(**SHAPE | changes))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.eval().save_pretrained(folder)
    add_tokenizer(folder)
    return model


def add_tokenizer(folder: Path) -> None:
    bpe = folder.parent / "bpe"
    bpe.mkdir()
    trained_bpe(["some text"], 260).save(bpe)
    (bpe / "tokenizer.json").rename(folder / "tokenizer.json")


@torch.no_grad()
def greedy(theirs: Any, checkpoint: Checkpoint, prompt: str, n_new: int) -> str:
    """What transformers' own `generate` writes."""
    ids = torch.tensor([[*checkpoint.tokenizer.prefix_ids, *checkpoint.tokenizer.encode(prompt)]])
    out = theirs.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=n_new, do_sample=False, pad_token_id=0
    )
    new = out[0, ids.shape[1] :].tolist()
    return whole(checkpoint.tokenizer.decode(new[: new.index(1)] if 1 in new else new))


def whole(text: str) -> str:
    """Without the bytes at its end that are no character: a completion that was cut off loses them."""
    return re.sub("[\udc80-\udcff]+$", "", text)


def texts(checkpoint: Checkpoint, prompts: list[str], settings: DecodingSettings, n_new: int = 24) -> list[str]:
    backend = NativeBackend.of_model(checkpoint.model, checkpoint.tokenizer)
    done = backend.generate([Request(str(i), 0, p, 1, (), n_new) for i, p in enumerate(prompts)], settings)
    return [whole(c.text) for c in sorted(done, key=lambda c: c.problem_id)]


PROMPTS = ["some", "text some text te", "s" * 20]
