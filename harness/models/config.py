"""The shape of a model: everything that decides which tensors exist and how they are connected."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

HeadKind = Literal["parallel", "causal", "anticausal", "linear", "replicated", "sequential"]


class RopeScaling(BaseModel):
    """Scaling of a rotary embedding to a longer context than it was trained for.

    linear: positions are divided by `factor`. llama3: frequencies whose wave is longer than the original context over
    `low_freq_factor` are divided by `factor`, those shorter than it over `high_freq_factor` stay, those between are mixed
    (Llama 3.1's rule).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["linear", "llama3"]
    factor: float = Field(gt=0)
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context_length: int = Field(default=8192, gt=0, description="tokens")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low_freq_factor >= self.high_freq_factor:
            raise ValueError(
                f"low_freq_factor={self.low_freq_factor} must be below high_freq_factor={self.high_freq_factor}"
            )
        return self


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
    | sequential | `u_i(h_i(s_{i-1}, x_{t+i-1}))`          | see `heads.Sequential`   | L - n        |

    Sequential modules are DeepSeek-V3's (arXiv 2412.19437, section 2.2): `s_i` is the normed output of `h_i`, and each module has
    a norm of its own. Except for anticausal and linear heads, the next-token path (trunk, head 1, norm, unembedding) is an
    ordinary Llama of `n_trunk_layers + 1` layers.
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
    order_unembedding: bool = Field(
        default=False,
        description="a second unembedding of head 1 that ranks coming tokens in training; it predicts none",
    )
    register_token: bool = Field(
        default=False,
        description="a learnt token that follows every token in training and predicts a later one; decoding has none",
    )
    tie_embeddings: bool = False
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    head_dim: int | None = Field(default=None, gt=0, description="width of an attention head; None: d_model / n_heads")
    qkv_bias: bool = Field(default=False, description="biases on queries, keys and values (Qwen2)")
    output_bias: bool = Field(default=False, description="a bias on attention's output")
    mlp_bias: bool = False
    qk_norm: bool = Field(default=False, description="norms over each head's queries and keys (Qwen3)")
    rope_scaling: RopeScaling | None = None
    sliding_window: int | None = Field(default=None, gt=0, description="tokens that attention sees, its own included")
    full_attention_layers: int = Field(default=0, ge=0, description="the first so many layers have no window")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.n_layers < self.n_head_layers + 1:
            raise ValueError(
                f"n_future={self.n_future} {self.head_kind} heads need n_layers >= {self.n_head_layers + 1} (a trunk "
                f"of at least one layer), got n_layers={self.n_layers}: raise n_layers or lower n_future"
            )
        if (self.head_dim is None and self.d_model % self.n_heads) or self.head_size % 2:
            raise ValueError(
                f"d_model={self.d_model} must be n_heads={self.n_heads} times an even head size, or head_dim even"
            )
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
        return self.head_dim or self.d_model // self.n_heads

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

    @property
    def n_norms(self) -> int:
        """Norms before the unembedding: one, unless the heads are sequential modules."""
        return self.n_future if self.head_kind == "sequential" else 1

    def window_of(self, layer: int) -> int | None:
        """Tokens that attention of a layer sees; trunk layers count from 0, heads are `n_trunk_layers`. None: all."""
        return self.sliding_window if layer >= self.full_attention_layers else None

    def token_offset(self, index: int) -> int:
        """The distance from a position to the later token that member `index` of `MTPModel.heads` reads there; 0: it reads none."""
        return index if self.head_kind == "sequential" else 0

    def head_path(self, head: int) -> tuple[int, ...]:
        """Indices into `MTPModel.heads` that turn z into head `head`'s hidden state (1 is next-token), in order.

        Raises:
            ValueError: there is no such head.
        """
        if not 1 <= head <= self.n_future:
            raise ValueError(f"heads are numbered 1 to {self.n_future}, got {head}")
        if self.head_kind in ("causal", "sequential"):
            return tuple(range(head))
        if self.head_kind == "anticausal":
            return tuple(range(self.n_future - 1, head - 2, -1))
        return (0,) if self.head_kind == "replicated" else (head - 1,)
