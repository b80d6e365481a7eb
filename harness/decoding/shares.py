"""Shares of a count that is known for several completions together."""

from __future__ import annotations

from collections.abc import Sequence


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """Whole numbers in proportion to the weights, whose sum is the total.

    >>> shares(10, [1, 1, 1]), shares(5, [0, 0])
    ([3, 4, 3], [2, 3])
    """
    weights = weights if any(weights) else [1] * len(weights)
    done = given = 0
    found = []
    for weight in weights:
        done += weight
        share = round(total * done / sum(weights)) - given
        given += share
        found.append(share)
    return found
