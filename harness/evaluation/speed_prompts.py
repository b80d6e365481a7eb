"""Prompts of a speed measurement: cut from text of a domain, at which places they fit into a model's context."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.speed_config import SpeedConfig
from mtp_eval.harness.evaluation.speed_store import Place
from mtp_eval.tasks.errors import did_you_mean
from mtp_eval.tasks.problem import Request

CHARACTERS_PER_TOKEN = 8
"""Text that is taken for each token of a prompt; more than pieces of code and prose have."""


Documents = Callable[[], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Domain:
    """A kind of text.

    Args:
        documents: its texts, always in the same order.
        has_own_length: each of them is a prompt; else prompts are cut from them.
    """

    documents: Documents
    has_own_length: bool = False


def domains_of(texts: Mapping[str, Documents], prompts: Mapping[str, Documents]) -> dict[str, Domain]:
    """Texts that prompts are cut from, and texts each of which is a prompt, by name."""
    cut, whole = (
        {name: Domain(documents, has_own_length) for name, documents in kind.items()}
        for kind, has_own_length in ((texts, False), (prompts, True))
    )
    return cut | whole


def places(
    config: SpeedConfig,
    models: Mapping[str, NativeBackend],
    domains: Mapping[str, Domain],
    say: Callable[[str], None] = lambda line: None,
) -> list[Place]:
    """All places whose prompts and completions fit into the model's context; what is left out is told.

    Raises:
        InputError: an unknown domain, or no place is left.
    """
    for name in config.domain:
        if name not in domains:
            raise InputError(f"--domain {name}: {did_you_mean(name, list(domains))}")
    found = list[Place]()
    for label, name in product(models, config.domain):
        context = models[label].config.context_length
        lengths = [0] if domains[name].has_own_length else list(config.prompt_tokens)
        too_long = [length for length in lengths if length + config.new_tokens >= context]
        if too_long:
            say(
                f"{label}, {name}: prompts of {', '.join(map(str, too_long))} tokens are left out, since with {config.new_tokens} "
                f"new ones they do not fit into a context of {context}"
            )
        fitting = [length for length in lengths if length not in too_long]
        found += [Place(label, name, *rest) for rest in product(fitting, config.batch_size, config.temperature)]
    if not found:
        raise InputError(
            f"no prompt fits: lower --prompt-tokens ({', '.join(map(str, config.prompt_tokens))}) or --new-tokens "
            f"({config.new_tokens})"
        )
    return found


def requests(model: NativeBackend, place: Place, domain: Domain, config: SpeedConfig) -> list[Request]:
    """Prompts from different documents, or from different parts of them, each of the place's length.

    Raises:
        InputError: there is too little text of this kind.
    """
    n = max(config.prompts, place.batch_size)
    found = list(islice(_cut(model, list(domain.documents()), place.prompt_tokens), n))
    if len(found) < n:
        raise InputError(
            f"{place.domain} has {len(found)} prompts of {place.prompt_tokens} tokens for {place.model}, and {n} are asked for: "
            "lower --prompt-tokens, --prompts or --batch-size"
        )
    return [
        Request(f"{place.domain}/{i}", 0, text, seed=config.seed + i, max_new_tokens=config.new_tokens)
        for i, text in enumerate(found)
    ]


def _cut(model: NativeBackend, documents: Sequence[str], length: int) -> Iterator[str]:
    """First a prompt from the beginning of every document, then from the second part of each, and so on."""
    if not length:
        yield from documents
        return
    size = length * CHARACTERS_PER_TOKEN
    for start in range(0, max(map(len, documents), default=0), size):
        for text in documents:
            ids = model.tokenizer.encode(text[start : start + size])
            if len(ids) >= length:
                yield model.tokenizer.decode(ids[:length])
