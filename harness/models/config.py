"""The shape of a model: everything that decides which tensors exist and how they are connected."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

HeadKind = Literal["parallel", "causal", "anticausal", "linear", "replicated"]


class ModelConfig(BaseModel):
    """A Llama-style trunk with `n_future` heads on it (arXiv 2404.19737, section 2).

    `n_layers` counts the transformer layers of trunk and heads together; `extra_layers` comes on top, in the trunk.
    With `z` the trunk's output, `u` the shared norm and unembedding and `h_i` head i, the logits for x_{t+i} are

    | head_kind  | logits for x_{t+i}                      | head i is                | trunk layers |
    |------------|-----------------------------------------|--------------------------|--------------|
    | parallel   | `u(h_i(z))`                             | a transformer layer      | L - n        |
    | causal     | `u(h_i(h_{i-1}(... h_1(z))))`           | a transformer layer      | L - n        |
    | anticausal | `u(h_i(h_{i+1}(... h_n(z))))`           | a transformer layer      | L - n        |
    | linear     | `u(h_i(z))`                             | one matrix               | L            |
    | replicated | `u_i(h_1(z))`, n unembedding matrices   | shared, the last layer   | L - 1        |

    Except for anticausal and linear heads, the next-token path (trunk, head 1, norm, unembedding) is an ordinary Llama
    of `n_trunk_layers + 1` layers.
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
        if self.n_layers < self.n_head_layers + 1:
            raise ValueError(
                f"n_future={self.n_future} {self.head_kind} heads need n_layers >= {self.n_head_layers + 1} (a trunk "
                f"of at least one layer), got n_layers={self.n_layers}: raise n_layers or lower n_future"
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
    def n_head_layers(self) -> int:
        """Transformer layers that belong to heads."""
        return {"linear": 0, "replicated": 1}.get(self.head_kind, self.n_future)

    @property
    def n_trunk_layers(self) -> int:
        """Layers that every head shares."""
        return self.n_layers - self.n_head_layers + self.extra_layers

    @property
    def n_unembeddings(self) -> int:
        """Unembedding matrices: one, unless they are replicated per head."""
        return self.n_future if self.head_kind == "replicated" else 1

    def head_path(self, head: int) -> tuple[int, ...]:
        """Indices into `MTPModel.heads` that turn z into head `head`'s hidden state (1 is next-token), in order."""
        if not 1 <= head <= self.n_future:
            raise ValueError(f"heads are numbered 1 to {self.n_future}, got {head}")
        if self.head_kind == "causal":
            return tuple(range(head))
        if self.head_kind == "anticausal":
            return tuple(range(self.n_future - 1, head - 2, -1))
        return (0,) if self.head_kind == "replicated" else (head - 1,)
