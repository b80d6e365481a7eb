"""A sample of documents for a tokenizer: over all sources, of a fixed size, the same whatever their order.

Each document has a number drawn from its own text; those with the lowest numbers are kept until their bytes reach the
limit (bottom-k sampling). One pass, and memory for the sample alone.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator

from mtp_eval.harness.training.documents import Document


def sample_texts(documents: Iterable[Document], n_bytes: int) -> Iterator[str]:
    """The texts of a sample of documents, in an order that does not depend on theirs; each is let go as it is taken.

    Args:
        n_bytes: of UTF-8; all documents are taken where they have no more, and at least one is.
    """
    heap: list[tuple[int, int, str, int]] = []  # the highest number on top
    tie, held = itertools.count(), 0
    for document in documents:
        number = document.number()
        if held >= n_bytes and -heap[0][0] <= number:
            continue
        text = document.prompt + document.text
        size = len(text.encode("utf-8", "surrogateescape"))
        heapq.heappush(heap, (-number, next(tie), text, size))
        held += size
        while len(heap) > 1 and held - heap[0][3] >= n_bytes:
            held -= heapq.heappop(heap)[3]
    heap.sort(key=lambda entry: (entry[0], entry[2]))
    while heap:
        yield heap.pop()[2]
