"""The options of a choice: `model.n_future = "auto"` and `loss.weights = "auto"`, which are kept as two switches of this section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from mtp_eval.harness.training.section import Section

AUTO = "auto"
MOST_SHARE = 0.1
"""Of the training's FLOPs that all choices together may take."""


class ChoiceConfig(Section):
    """How n, or the weights of the heads, are chosen before the first step; nothing of it is left in the config of the run itself."""

    n_future: bool = Field(default=False, description='model.n_future = "auto" sets it')
    weights: bool = Field(default=False, description='loss.weights = "auto" sets it')
    rule: Literal["foresight", "halving", "gain", "agreement"] = Field(
        default="foresight", description="that chooses n"
    )
    weights_rule: Literal["halving", "balance", "agreement"] = Field(
        default="halving", description="that chooses the weights of the heads"
    )
    candidates: tuple[PositiveInt, ...] = Field(
        default=(1, 2, 3, 4, 6, 8),
        min_length=1,
        description="values of n; those that the layers have no room for are left out",
    )
    otherwise: PositiveInt = Field(default=1, description="n where the evidence does not tell the candidates apart")
    share: float = Field(
        default=MOST_SHARE, gt=0, le=MOST_SHARE, description="of the training's FLOPs that choosing may take"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.candidates)) < len(self.candidates):
            raise ValueError(f"choice.candidates names a value twice: {list(self.candidates)}")
        if self.otherwise not in self.candidates:
            raise ValueError(
                f"choice.otherwise = {self.otherwise} is none of choice.candidates {list(self.candidates)}: name one of them"
            )
        return self

    @property
    def wanted(self) -> bool:
        """Whether anything is to be chosen."""
        return self.n_future or self.weights

    def refuse_n_future(self, *, init: bool, head_weights: bool, registers: bool) -> None:
        """Refuse what decides n already.

        Raises:
            ValueError: naming it.
        """
        asked = 'model.n_future = "auto"'
        if init:
            raise ValueError(
                f"{asked} compares models from their first weights on, and init = ... begins with a finished one: "
                "give model.n_future a number"
            )
        if head_weights:
            raise ValueError(
                f"{asked} with loss.head_weights: there are as many of them as heads; leave them out, or let "
                'loss.weights = "auto" choose them'
            )
        if registers:
            raise ValueError(
                f"{asked} with loss.register_distance: registers predict further tokens in the place of heads, with "
                "model.n_future = 1; leave one of them out"
            )

    def refuse_weights(self, *, n_future: int, frozen: bool, others: Sequence[str]) -> None:
        """Refuse what decides the weights of the heads already, or leaves nothing to weigh.

        Raises:
            ValueError: naming it.
        """
        asked = 'loss.weights = "auto"'
        if others:
            raise ValueError(
                f"{asked} with {' and '.join(others)}: both decide the weights of the heads; leave one out"
            )
        if frozen:
            raise ValueError(
                f"{asked} with freeze = 'trunk': the heads share nothing that learns, so that their weights change nothing; "
                "leave one of them out"
            )
        if n_future == 1 and not self.n_future:
            raise ValueError(
                f"{asked} weighs heads, and model.n_future = 1 has a single one: set model.n_future higher"
            )


def asked_for_choices(values: Mapping[str, Any]) -> dict[str, Any]:
    """A config's values with "auto" turned into the switches of the section `choice`.

    Raises:
        ValueError: loss.weights is something else.
    """
    found = dict(values)
    model, loss, choice = (found.get(name) for name in ("model", "loss", "choice"))
    switches = {}
    if isinstance(model, Mapping) and model.get("n_future") == AUTO:
        found["model"] = {key: value for key, value in model.items() if key != "n_future"}
        switches["n_future"] = True
    if isinstance(loss, Mapping) and "weights" in loss:
        if loss["weights"] != AUTO:
            raise ValueError(
                f'loss.weights = {loss["weights"]!r}: expected "{AUTO}"; weights of your own go into loss.head_weights'
            )
        found["loss"] = {key: value for key, value in loss.items() if key != "weights"}
        switches["weights"] = True
    if switches:
        found["choice"] = {**(choice if isinstance(choice, Mapping) else {}), **switches}
    return found
