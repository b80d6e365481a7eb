"""The text of a run: one corpus, or several that are mixed in the proportion of their weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mtp_eval.harness.training.answers import answer_windows
from mtp_eval.harness.training.batches import Batches, Windows, exact_shares, validation_windows
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.corpus import Corpus, Window


@dataclass(frozen=True)
class Mixture:
    """Corpora and their shares of the training tokens; the weights need not add up to 1."""

    parts: tuple[Corpus, ...]
    weights: tuple[float, ...] = (1.0,)

    def batches(self, config: TrainConfig, n_future: int) -> Batches:
        """The training batches of a run."""
        windows = [
            Windows(
                part.train,
                length=config.model.context_length,
                n_future=n_future,
                seed=config.seed,
                align_documents=config.data.align_documents,
            )
            for part in self.parts
        ]
        return Batches(windows, self.weights, batch_size=config.batch_size, seed=config.seed)

    def validation(self, config: TrainConfig, n_future: int) -> list[Window]:
        """The held-out windows of a run, of each corpus its share."""
        n_windows = max(config.validation_windows, len(self.parts))
        shares = exact_shares(self.weights, n_windows).tolist()
        return [
            window
            for part, share in zip(self.parts, shares, strict=True)
            for window in validation_windows(
                part.validation, length=config.model.context_length, n_future=n_future, windows=share
            )
        ]

    def answers(self, config: TrainConfig, n_future: int) -> list[Window]:
        """Held-out documents whose answers are scored whole, as many as there are validation windows at most."""
        length, most = config.model.context_length, config.validation_windows
        windows = [
            answer_windows(part.validation, length=length, n_future=n_future, most=most // len(self.parts))
            for part in self.parts
        ]
        return [window for of_part in windows for window in of_part]

    def say_held_out(self) -> str:
        """A sentence on how much text is held out, known before the first step; where there is none, what to do."""
        held = sum(len(part.validation.ends) for part in self.parts)
        of = held + sum(len(part.train.ends) for part in self.parts)
        without = [part.index["source"] for part in self.parts if not len(part.validation.ends)]
        said = f"{held:,} of {of:,} documents are held out, {sum(p.validation.n_tokens for p in self.parts):,} tokens"
        if not without:
            return said
        remedy = "split text files with data.documents, give more text, or raise data.holdout"
        return f"{said}; none of {' and none of '.join(without)}, which no score is measured on: {remedy}"

    @property
    def fingerprint(self) -> str:
        """A hash that changes when any token, document border or weight does."""
        if len(self.parts) == 1:
            return self.parts[0].fingerprint
        about = [f"{w} {part.fingerprint}" for w, part in zip(self.weights, self.parts, strict=True)]
        return hashlib.sha256("\n".join(about).encode()).hexdigest()

    def begins_with(self, stored: Mapping[str, Any]) -> bool:
        """Whether these documents are those of a stored description, followed by more of them."""
        described = stored.get("parts", [stored])
        return len(described) == len(self.parts) and all(
            part.begins_with(about) for part, about in zip(self.parts, described, strict=True)
        )

    def describe(self) -> dict[str, Any]:
        """Counts and hashes of all corpora and of each, for training.json."""
        parts = [part.describe() for part in self.parts]
        if len(parts) == 1:
            return parts[0]
        counts = {
            split: {key: sum(part[split][key] for part in parts) for key in ("tokens", "documents", "bytes")}
            for split in ("train", "validation")
        }
        weighted = [{"weight": w, **part} for w, part in zip(self.weights, parts, strict=True)]
        source = ", ".join(part["source"] for part in parts)
        return {"source": source, "fingerprint": self.fingerprint, **counts, "parts": weighted}
