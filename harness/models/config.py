"""The shape of a model: everything that decides which tensors exist and how they are connected."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

HeadKind = Literal["parallel", "causal", "anticausal", "linear", "replicated"]


class ModelConfig(BaseModel):
    """A Llama-style trunk with `n_future` heads on it (arXiv 2404.19737, section 2).

    `n_layers` counts trunk layers and heads together: the trunk has `n_layers - n_future` layers, plus `extra_layers`.
    The next-token path (trunk, head 1, norm, unembedding) is an ordinary Llama of `n_trunk_layers + 1` layers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocab_size: int = Field(gt=0)
    d_model: int = Field(gt=0)
    n_layers: int = Field(gt=0, description="trunk layers and heads together, extra_layers not counted")
    n_heads: int = Field(gt=0)
    n_kv_heads: int | None = Field(default=None, description="None means n_heads")
    d_ff: int = Field(gt=0)
    context_length: int = Field(gt=0, description="tokens")
    n_future: int = Field(default=1, gt=0, description="how many future tokens are predicted; 1 is next-token")
    head_kind: HeadKind = "parallel"
    extra_layers: int = Field(default=0, ge=0, description="trunk layers kept beyond the parameter-matched trunk")
    tie_embeddings: bool = False
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.n_layers < self.n_future + 1:
            raise ValueError(
                f"n_future={self.n_future} heads need n_layers >= {self.n_future + 1} (a trunk of at least one layer), "
                f"got n_layers={self.n_layers}: raise n_layers or lower n_future"
            )
        if self.d_model % self.n_heads or (self.d_model // self.n_heads) % 2:
            raise ValueError(f"d_model={self.d_model} must be n_heads={self.n_heads} times an even head size")
        if self.n_heads % self.kv_heads:
            raise ValueError(f"n_heads={self.n_heads} must be a multiple of n_kv_heads={self.kv_heads}")
        return self

    @property
    def kv_heads(self) -> int:
        """Key and value heads per layer."""
        return self.n_kv_heads or self.n_heads

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads

    @property
    def n_trunk_layers(self) -> int:
        """Layers that every head shares."""
        return self.n_layers - self.n_future + self.extra_layers
