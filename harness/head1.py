"""What head 1 says about given text, without generating: likelihood of continuations, and teacher-forced predictions.

Only for backends that hold a model and a tokenizer here (our checkpoints); a server that returns text cannot be asked.
Shapes: B batch rows, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtp_eval.harness.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from mtp_eval.harness.models.backend import Backend
    from mtp_eval.harness.models.tokenizers import Tokenizer
    from mtp_eval.harness.models.transformer import MTPModel


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Of one continuation: log-probability in nats, and the units by which it can be normalised."""

    nats: float
    n_tokens: int
    n_characters: int


def native(backend: Backend) -> tuple[MTPModel, Tokenizer]:
    """The model and tokenizer behind a backend.

    Raises:
        InputError: the backend has none here.
    """
    model, tokenizer = getattr(backend, "model", None), getattr(backend, "tokenizer", None)
    if model is None or not hasattr(model, "heads"):
        raise InputError(
            f"model {backend.name}: tasks that look at probabilities need one of our checkpoints (`mtp-eval convert` makes "
            "one of a Hugging Face Llama)"
        )
    assert tokenizer is not None
    return model, tokenizer


def log_probabilities(model: MTPModel, tokens: Sequence[int]) -> Tensor:
    """Head 1's log-probabilities `(T, V)` after each token."""
    import torch

    with torch.no_grad():
        tokens_1T = torch.tensor([list(tokens)], device=model.embed_tokens.weight.device)
        positions_1T = torch.arange(tokens_1T.shape[1], device=tokens_1T.device)[None]
        rotary = model.rotary(positions_1T)
        x_1TD = model.trunk_forward(tokens_1T, rotary)
        for i in model.config.head_path(1):
            x_1TD = model.heads[i](x_1TD, rotary)
        return model.unembed(x_1TD)[0].float().log_softmax(dim=-1)


def choice_likelihoods(backend: Backend, prompt: str, choices: Sequence[str]) -> list[Likelihood]:
    """The likelihood of each choice after the prompt; a context that is too long keeps its end.

    The tokens of a choice are those that prompt + choice has beyond the prompt's own, so that a tokenizer which merges
    across the boundary is used as it would be on running text.
    """
    model, tokenizer = native(backend)
    found = []
    for choice in choices:
        context, whole = tokenizer.encode(prompt), tokenizer.encode(prompt + choice)
        shared = min(len(context), len(whole) - 1)
        while shared and context[:shared] != whole[:shared]:
            shared -= 1
        n_choice = len(whole) - shared
        tokens = [tokenizer.bos_id, *whole][-(model.config.context_length + 1) :]
        if n_choice >= len(tokens):
            raise InputError(f"a choice of {n_choice} tokens does not fit into the context of {backend.name}")
        logp_TV = log_probabilities(model, tokens[:-1])
        first = len(tokens) - n_choice
        nats = sum(float(logp_TV[at - 1, tokens[at]]) for at in range(first, len(tokens)))
        found.append(Likelihood(nats, n_choice, len(choice)))
    return found


def predictions_at(backend: Backend, text: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """Head 1's most likely token at each span of characters, given everything before it.

    Raises:
        InputError: a span is not exactly one token of this tokenizer.
    """
    model, tokenizer = native(backend)
    tokens = tokenizer.encode(text)
    places = []
    for start, end in spans:
        at = len(tokenizer.encode(text[:start]))
        if tokenizer.encode(text[:start]) + tokenizer.encode(text[start:end]) != tokens[: at + 1]:
            raise InputError(
                f"{text[start:end]!r} is not one token of the tokenizer {tokenizer.name}: give the task names that are two "
                "tokens under it"
            )
        places.append(at)
    length = model.config.context_length
    whole_TV = log_probabilities(model, [tokenizer.bos_id, *tokens][:length])  # serves every place that fits
    predicted = []
    for at in places:
        window = [] if at < length else [tokenizer.bos_id, *tokens[:at]][-length:]
        logp_V = log_probabilities(model, window)[-1] if window else whole_TV[at]
        predicted.append(tokenizer.decode([int(logp_V.argmax())]))
    return predicted
