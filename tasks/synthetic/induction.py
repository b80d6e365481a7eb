"""induction: whether a model completes a name it has seen before, after arXiv 2404.19737 section 4.1.

Children's stories have names of exactly two tokens, drawn anew for each story. The score is the accuracy of head 1's
most likely token on the second token of every name after its first mention, given the story's own text before it (one
problem each, one token generated greedily). A model without an induction mechanism cannot know it. Under `stories-2` the
names of the test never occur in training.

Under a byte tokenizer a name is two letters, a capital and a small one; other tokenizers need `corpus` and `names`
chosen for them. The stories come from this project's own templates (`tasks.synthetic.story_words`), not from the paper's data
set, which is not named there; `corpus` takes any text file of stories with the names that are to be replaced.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.errors import DataError
from mtp_eval.tasks.exact_match import ExactMatchTask
from mtp_eval.tasks.problem import Problem
from mtp_eval.tasks.synthetic import story_words as words

TEST_SEED = 20240419
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SMALL = "abcdefghijklmnopqrstuvwxyz"
Name = tuple[str, str]
"""First and second token of a name."""


def is_test_name(name: Name) -> bool:
    """Whether a name is among the fixed fifth of all names that is kept for the test."""
    return hashlib.sha256("".join(name).encode()).digest()[0] % 5 == 0


ALL_NAMES: tuple[Name, ...] = tuple((first, second) for first in CAPITALS for second in SMALL)
TEST_NAMES = tuple(name for name in ALL_NAMES if is_test_name(name))
TRAINING_NAMES = tuple(name for name in ALL_NAMES if not is_test_name(name))


@dataclass(frozen=True, slots=True)
class Stories:
    """The stories of a protocol: their templates, names and lengths.

    Args:
        templates: of the sentences after the opening.
        openings: of the first sentence.
        n_sentences: how many of them a story has.
        cast_size: names in a story.
        capitals: the letters with which names begin.
        held_out: whether the test's names are never trained on. A model that has learnt which pairs of letters are names
            then takes every test name for impossible, until copying is stronger than that.
    """

    templates: Sequence[str]
    openings: Sequence[str]
    n_sentences: int
    cast_size: int
    capitals: str = CAPITALS
    held_out: bool = True

    def names(self, *, test: bool) -> list[Name]:
        """Names for the test or for training."""
        pool = ALL_NAMES if not self.held_out else TEST_NAMES if test else TRAINING_NAMES
        return [name for name in pool if name[0] in self.capitals]


PROTOCOLS: Mapping[str, Stories] = {
    "stories-2": Stories(words.TEMPLATES, words.OPENINGS, n_sentences=6, cast_size=3),
    "meetings-2": Stories(
        words.MEETINGS, words.MEETINGS, n_sentences=11, cast_size=3, capitals="ABCDEFGH", held_out=False
    ),
}
"""The number counts the versions of the templates and the vocabulary: another version has other figures.

`meetings-2` trains on stories of little but names, which begin with one of eight letters; it tests on such stories (in
domain) and on short stories of the other templates with the same names (out of domain).
"""
OUT_OF_DOMAIN = {
    "meetings-2": Stories(words.TEMPLATES, words.OPENINGS, n_sentences=3, cast_size=3, capitals="ABCDEFGH")
}


def draw_cast(rng: random.Random, names: Sequence[Name], size: int) -> list[Name]:
    """Draw names with different first tokens, so that the first token says who is meant."""
    cast: dict[str, Name] = {}
    while len(cast) < size:
        name = rng.choice(names)
        cast.setdefault(name[0], name)
    return list(cast.values())


def sentence(rng: random.Random, template: str) -> str:
    """A template with everything but its names filled in."""
    choices: Mapping[str, Sequence[str]] = {
        "noun": words.NOUNS,
        "verb": words.VERBS,
        "adj": words.ADJECTIVES,
        "place": words.PLACES,
        "time": words.TIMES,
    }
    forms = {
        "nouns": ("noun", words.plural),
        "verbs": ("verb", words.third_person),
        "verbing": ("verb", words.ing),
        "adv": ("adj", words.adverb),
        "adjer": ("adj", words.comparative),
        "adjest": ("adj", words.superlative),
    }

    def fill(slot: re.Match[str]) -> str:
        kind = slot.group(1)
        if kind not in forms:
            return rng.choice(choices[kind])
        source, form = forms[kind]
        return form(rng.choice(choices[source]))

    slots = "|".join([*choices, *forms])
    return re.sub(rf"\{{({slots})\}}", fill, template)


def draw_story(rng: random.Random, kind: Stories) -> str:
    """Draw a story in which every name still is the slot {name}."""
    opening = sentence(rng, rng.choice(kind.openings))
    return " ".join([opening, *(sentence(rng, rng.choice(kind.templates)) for _ in range(kind.n_sentences))])


def with_names(rng: random.Random, story: str, cast: Sequence[Name]) -> tuple[str, list[tuple[int, int]]]:
    """The story with a name from the cast in each slot, and the spans of second tokens after a name's first mention."""
    text, spans, met, last = "", list[tuple[int, int]](), set[Name](), None
    for number, part in enumerate(story.split("{name}")):
        if number:
            name = rng.choice([other for other in cast if other != last])
            start = len(text) + len(name[0])
            if name in met:
                spans.append((start, start + len(name[1])))
            text += "".join(name)
            met.add(name)
            last = name
        text += part
    return text, spans


class InductionTask(ExactMatchTask):
    """One problem for each repeated name, with the training generator.

    Args:
        name: as registered.
        protocol: one of `PROTOCOLS`.
        seed: of the test stories.
        size: test stories; the paper has 100.
        n_sentences, cast_size: instead of the protocol's.
        corpus: a text file of stories with blank lines between them, used for the test instead of the templates.
        corpus_names: the names in that file that are replaced.
        names: names for the replacement as (first token, second token), for a tokenizer other than bytes.
    """

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        seed: int = TEST_SEED,
        size: int = 100,
        n_sentences: int | None = None,
        cast_size: int | None = None,
        corpus: Path | None = None,
        corpus_names: Sequence[str] = (),
        names: Sequence[Name] | None = None,
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol(name, protocol, tuple(PROTOCOLS))
        kind = PROTOCOLS[chosen]
        self._kind = replace(kind, n_sentences=n_sentences or kind.n_sentences, cast_size=cast_size or kind.cast_size)
        names = names or kind.names(test=True)
        rng = random.Random(f"induction test {seed}")
        texts: list[tuple[str, str, list[tuple[int, int]]]]
        if corpus is not None:
            chosen = f"{chosen}+{corpus.name}"
            texts = [("in", *replace_names(rng, story, corpus_names, names)) for story in read_stories(corpus)[:size]]
        else:
            kinds = [("in", self._kind)]
            if chosen in OUT_OF_DOMAIN:
                kinds.append(("out", OUT_OF_DOMAIN[chosen]))
                self.report_by = "domain"
            texts = [
                (domain, *with_names(rng, draw_story(rng, of), draw_cast(rng, names, of.cast_size)))
                for domain, of in kinds
                for _ in range(size // len(kinds))
            ]
        self._test_texts = frozenset(text for _, text, _ in texts)
        problems = [
            Problem(
                problem_id=f"induction/{number}/{mention}",
                prompt=text[:start],
                reference=text[start:end],
                max_new_tokens=1,
                tags={"story": str(number), "domain": domain},
            )
            for number, (domain, text, spans) in enumerate(texts)
            for mention, (start, end) in enumerate(spans)
        ]
        if not problems:
            raise DataError(f"induction: no name of {list(corpus_names)} occurs twice in a story of {corpus}")
        sha256 = hashlib.sha256(
            "\n".join(problem.prompt + problem.reference for problem in problems).encode()
        ).hexdigest()
        super().__init__(name, chosen, problems, data_sha256=sha256, extract=extract)

    def training_documents(self, seed: int) -> Iterator[str]:
        """Stories, never one of the test, with names drawn anew for each, from those the test never uses where they are held out."""
        rng = random.Random(f"induction training {seed}")
        names = self._kind.names(test=False)
        while True:
            cast = draw_cast(rng, names, self._kind.cast_size)
            story, _ = with_names(rng, draw_story(rng, self._kind), cast)
            if story not in self._test_texts:
                yield story + "\n"


def read_stories(corpus: Path) -> list[str]:
    """The stories of a text file, which blank lines separate.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        text = corpus.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"induction: the corpus {corpus} cannot be read as UTF-8 text: {error}") from None
    return [story.strip() for story in re.split(r"\n\s*\n", text) if story.strip()]


def replace_names(
    rng: random.Random, story: str, old_names: Sequence[str], names: Sequence[Name]
) -> tuple[str, list[tuple[int, int]]]:
    """A story with each of its names replaced by one two-token name, and the spans of repeated second tokens."""
    present = [name for name in dict.fromkeys(old_names) if re.search(rf"\b{re.escape(name)}\b", story)]
    if not present:
        return story, []
    stand_in: Mapping[str, Name] = dict(zip(present, draw_cast(rng, names, len(present)), strict=True))
    text, spans, met, at = "", list[tuple[int, int]](), set[str](), 0
    for found in re.finditer(rf"\b({'|'.join(map(re.escape, present))})\b", story):
        first, second = stand_in[found.group()]
        text += story[at : found.start()] + first
        if found.group() in met:
            spans.append((len(text), len(text) + len(second)))
        text += second
        met.add(found.group())
        at = found.end()
    return text + story[at:], spans
