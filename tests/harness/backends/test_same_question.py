"""One model through every door is asked the same: equal prompt ids, greedy texts and likelihoods.

The doors are our own decoder on the converted weights, transformers (`hf:`), and a server.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mtp_eval.harness.backends.base import BackendOptions
from mtp_eval.harness.backends.hf import HuggingFaceBackend
from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.backends.openai import OpenAIBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.convert import huggingface
from mtp_eval.harness.models.convert.convert import convert
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.tokenizers import Tokenizer, load_tokenizer, prompt_ids, trained_bpe
from mtp_eval.tasks.problem import Chat, Request
from tests.extras import needs
from tests.harness.backends.server import Reply, completions_server
from tests.harness.backends.test_chat_template import CHATML

needs("transformers", "hf")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

TEXTS = ["def f(x):\n    return x + 1\n", "for i in range(10):\n    print(i)\n"] * 20
PROMPTS = ["def f(", "x = y\n" * 40, "", " ", "x = 1\n", "<|im_start|>user\nhi<|im_end|>\n", "naïve ß\n  "]
PAIRS = [
    ("def f(x):", "\n    return x"),
    ("for i in ", "range"),
    ("", "def"),
    ("x =", " 1"),
    ("a ", "b"),
    ("  ", "y"),
    ("q", ""),
]

KINDS: dict[str, dict[str, Any]] = {
    "a post-processor adds BOS": {"begins": True, "tokenizer_class": "PreTrainedTokenizerFast"},
    "nothing is added": {"begins": False, "tokenizer_class": "PreTrainedTokenizerFast"},
    "a GPT-2 class adds nothing": {"begins": False, "tokenizer_class": "GPT2TokenizerFast"},
}


def tokenizer_json(tokenizer: Tokenizer, folder: Path) -> str:
    tokenizer.save(folder)
    return (folder / "tokenizer.json").read_text()


@pytest.fixture(params=list(KINDS))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny random Llama as somebody's folder, whose tokenizer begins a text in its own way and has chat marks."""
    about = dict(KINDS[request.param])
    tokenizer = trained_bpe(TEXTS, 320)
    n_pieces = len(json.loads(tokenizer_json(tokenizer, tmp_path))["model"]["vocab"])
    config = ModelConfig(
        vocab_size=n_pieces + 3, d_model=32, n_layers=3, n_heads=4, n_kv_heads=2, d_ff=48, context_length=64, n_future=1
    )
    model = new_model(config, seed=1)
    with torch.no_grad():
        model.lm_head.weight.mul_(6)
    folder = tmp_path / "hf"
    huggingface.write(folder, config, dict(model.state_dict()), tokenizer)
    raw = json.loads((folder / "tokenizer.json").read_text())
    first = n_pieces
    raw["added_tokens"] += [
        {"id": first + i, "content": mark, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False}
        for i, mark in enumerate(["<|im_start|>", "<|im_end|>", "<file_sep>"])
    ]  # fmt: skip
    if not about.pop("begins"):
        raw["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(raw))
    about |= {"bos_token": "<s>", "eos_token": "</s>", "chat_template": CHATML}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, first + 1]}))
    return folder


@pytest.fixture
def doors(folder: Path, tmp_path: Path) -> tuple[NativeBackend, HuggingFaceBackend]:
    convert(folder, tmp_path / "ours")
    return NativeBackend(tmp_path / "ours", dtype="float64"), HuggingFaceBackend(
        str(folder), BackendOptions(dtype="float64")
    )


def test_prompts_are_the_ids_that_transformers_gives(
    doors: tuple[NativeBackend, HuggingFaceBackend], folder: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    ours, theirs = doors
    reference = AutoTokenizer.from_pretrained(folder)
    for prompt in PROMPTS:
        expected = reference(prompt).input_ids or [0]
        assert prompt_ids(ours.tokenizer, prompt) == expected, prompt
        assert theirs.prompt_ids(prompt) == expected, prompt
    kept = load_tokenizer(tmp_path / "ours")
    assert (kept.prefix_ids, kept.eos_ids) == (theirs.prefix_ids, theirs.eos_ids)
    assert len(kept.eos_ids) == 2  # the generation config has one that the tokenizer has not


def shown(text: str) -> str:
    """Bytes that are not UTF-8 as transformers has them; ours keeps them apart."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").rstrip("\ufffd")


def test_greedy_and_sampled_texts_are_the_same(doors: tuple[NativeBackend, HuggingFaceBackend]) -> None:
    requests = [
        Request(f"p{i}", 0, prompt, seed=i, stop=("<file_sep>",), max_new_tokens=20) for i, prompt in enumerate(PROMPTS)
    ]
    for settings in (DecodingSettings(), DecodingSettings(temperature=1.0)):
        ours, theirs = (
            {
                c.problem_id: (shown(c.text), c.n_tokens, c.stop_reason, c.prompt_tokens)
                for c in door.generate(requests, settings)
            }
            for door in doors
        )
        assert ours == theirs


@pytest.mark.parametrize("system", ["", "Be brief."])
def test_a_chat_is_the_same_question(folder: Path, tmp_path: Path, system: str) -> None:
    convert(folder, tmp_path / "ours")
    options = BackendOptions(dtype="float64", system=system)
    ours, theirs = NativeBackend.open(str(tmp_path / "ours"), options), HuggingFaceBackend(str(folder), options)
    huggingface.write(tmp_path / "back", ours.config, dict(ours.model.state_dict()), ours.tokenizer)
    back = HuggingFaceBackend(str(tmp_path / "back"), options)
    for door in (ours, theirs, back):
        door.check_chat()
    chats = [Chat("x = y\n", "def f(", "q"), Chat("for", "x", "q", examples=(("a", "b"),), keeps_space=False)]
    requests = [Request(f"p{i}", 0, "shown", seed=i, max_new_tokens=20, chat=chat) for i, chat in enumerate(chats)]
    for request in requests:
        assert ours.request_ids(request) == theirs.request_ids(request) == back.request_ids(request)
    texts = [
        {
            c.problem_id: (shown(c.text), c.n_tokens, c.prompt_tokens)
            for c in door.generate(requests, DecodingSettings())
        }
        for door in (ours, theirs)
    ]
    assert texts[0] == texts[1]


def test_special_tokens_stay_in_the_text(doors: tuple[NativeBackend, HuggingFaceBackend]) -> None:
    ours, theirs = doors
    ids = ours.tokenizer.encode("a<|im_start|>b<file_sep>")
    assert ours.tokenizer.decode(ids) == "a<|im_start|>b<file_sep>" == theirs.decode(ids)


def test_likelihoods_are_the_same_to_1e_4(doors: tuple[NativeBackend, HuggingFaceBackend]) -> None:
    ours, theirs = (door.loglikelihood(PAIRS) for door in doors)
    for a, b, pair in zip(ours, theirs, PAIRS, strict=True):
        assert a.nats == pytest.approx(b.nats, abs=1e-4), pair
        assert (a.n_tokens, a.n_bytes, a.is_greedy) == (b.n_tokens, b.n_bytes, b.is_greedy)


def test_likelihoods_are_those_that_lm_eval_takes(
    doors: tuple[NativeBackend, HuggingFaceBackend], folder: Path
) -> None:
    """The oracle encodes a pair as lm-eval's `TemplateLM._encode_pair` does, and runs one text at a time."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    for (context, continuation), found in zip(PAIRS, doors[0].loglikelihood(PAIRS), strict=True):
        if not continuation:
            continue
        n_spaces = len(context) - len(context.rstrip())
        moved, text = context[: len(context) - n_spaces], context[len(context) - n_spaces :] + continuation
        if moved:
            whole, before = tokenizer(moved + text).input_ids, tokenizer(moved).input_ids
            after = whole[len(before) :]
        else:
            before, after = [tokenizer.bos_token_id], tokenizer(text, add_special_tokens=False).input_ids
        with torch.no_grad():
            logp_TV = model(torch.tensor([before + after])).logits[0].log_softmax(-1)
        expected = sum(float(logp_TV[len(before) - 1 + i, token]) for i, token in enumerate(after))
        assert found.nats == pytest.approx(expected, abs=1e-4), (context, continuation)


@pytest.mark.slow
def test_a_server_of_the_model_writes_the_same_texts(doors: tuple[NativeBackend, HuggingFaceBackend]) -> None:
    """The server is given the prompt's text and tokenises it itself, as real ones do."""
    behind = doors[1]

    def answer(body: dict[str, Any], number: int) -> Reply:
        asked = Request("x", 0, body["prompt"], body["seed"], tuple(body.get("stop") or ()), body["max_tokens"])
        (done,) = behind.generate([asked], DecodingSettings())
        usage = {"prompt_tokens": done.prompt_tokens, "completion_tokens": done.n_tokens}
        choice = {"index": 0, "text": done.text, "finish_reason": done.stop_reason}
        return 200, {}, json.dumps({"choices": [choice], "usage": usage})

    requests = [
        Request(f"p{i}", 0, prompt, seed=i, stop=("<file_sep>",), max_new_tokens=20) for i, prompt in enumerate(PROMPTS)
    ]
    with completions_server(answer) as (url, _):
        served = {
            c.problem_id: (shown(c.text), c.n_tokens, c.prompt_tokens)
            for c in OpenAIBackend(f"{url}#m", BackendOptions(concurrency=1)).generate(requests, DecodingSettings())
        }
    ours = {
        c.problem_id: (shown(c.text), c.n_tokens, c.prompt_tokens)
        for c in doors[0].generate(requests, DecodingSettings())
    }
    assert served == ours


@pytest.mark.slow
def test_a_server_that_echoes_gives_the_same_likelihoods(
    doors: tuple[NativeBackend, HuggingFaceBackend], folder: Path
) -> None:
    """The server answers in the form that vLLM documents: a begin mark, if the tokenizer adds one, is a token of the prompt."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)

    def answer(body: dict[str, Any], number: int) -> Reply:
        assert (body["echo"], body["logprobs"], body["max_tokens"]) == (True, 1, 1)
        ids = tokenizer(body["prompt"]).input_ids
        with torch.no_grad():
            logp_TV = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        ids.append(int(logp_TV[-1].argmax()))
        best = [{str(int(row.argmax())): float(row.max())} for row in logp_TV]
        nats = [float(logp_TV[place, token]) for place, token in enumerate(ids[1:])]
        logprobs = {
            "tokens": [tokenizer.decode([i]) for i in ids],
            "token_logprobs": [None, *nats],
            "top_logprobs": [None, *best],
        }
        return (
            200,
            {},
            json.dumps({"choices": [{"index": 0, "text": "", "finish_reason": "length", "logprobs": logprobs}]}),
        )

    begins = bool(tokenizer("x").input_ids[0] == 0)
    pairs = [pair for pair in PAIRS if pair[0].strip() or begins]
    with completions_server(answer) as (url, asked):
        served = OpenAIBackend(f"{url}#m").loglikelihood(pairs)
        if not begins:
            with pytest.raises(InputError, match="puts nothing before a text"):
                OpenAIBackend(f"{url}#m").loglikelihood([("", "def")])
    texts = {text for context, after in pairs if after for text in (context.rstrip(), context + after) if text}
    assert sorted(body["prompt"] for body in asked[: len(texts)]) == sorted(texts)  # each once
    for a, b, pair in zip(served, doors[0].loglikelihood(pairs), pairs, strict=True):
        assert a.nats == pytest.approx(b.nats, abs=1e-4), pair
        assert (a.n_tokens, a.n_bytes, a.is_greedy) == (b.n_tokens, b.n_bytes, b.is_greedy)


@pytest.mark.parametrize("reply", [(400, {}, '{"error": "echo is not supported"}'), (200, {}, None)])
def test_a_server_without_likelihoods_is_one_sentence(reply: tuple[int, dict[str, str], str | None]) -> None:
    status, headers, text = reply
    body = text or json.dumps({"choices": [{"index": 0, "text": " b", "finish_reason": "length", "logprobs": None}]})
    with (
        completions_server(lambda asked, number: (status, headers, body)) as (url, _),
        pytest.raises(InputError, match=r"gives no likelihoods.*use hf:"),
    ):
        OpenAIBackend(f"{url}#m").loglikelihood([("a", " b")])
