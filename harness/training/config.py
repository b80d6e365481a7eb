"""The config of a training run: one frozen object, stored with the checkpoint; `config_files` reads it.

A typo in a key is an error. Units are in the names or in the descriptions; "tokens" are positions of head 1.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from mtp_eval.harness.models.config import HeadKind
from mtp_eval.harness.training.choice.options import ChoiceConfig, asked_for_choices
from mtp_eval.harness.training.section import Section
from mtp_eval.harness.training.text_rules import FILES, RULES, is_rule

FARTHEST_ORDER = 64
"""The widest window of token order prediction: a token so far away weighs less than 1e-27 of the next one."""


class ModelShape(Section):
    """The next-token model that everything is matched with, and how many heads to give it."""

    d_model: int = Field(gt=0)
    n_layers: int = Field(gt=0, description="layers of the matching next-token model")
    n_heads: int = Field(gt=0)
    n_kv_heads: int | None = None
    d_ff: int | None = Field(default=None, description="None: 8/3 of d_model, rounded up to a multiple of 8")
    context_length: int = Field(gt=0, description="tokens")
    n_future: int = Field(default=1, gt=0, description='"auto": see choice')
    head_kind: HeadKind = "parallel"
    match: Literal["params", "layers", "flops"] = Field(
        default="params",
        description="what stays equal to the next-token model: parameters (the paper's rule), layers on the next-token "
        "path, or training FLOPs per token",
    )
    extra_layers: int = Field(default=0, ge=0, description="trunk layers on top of what `match` gives")
    tie_embeddings: bool = False
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5


class DataConfig(Section):
    """The training text: where it comes from and how it becomes tokens."""

    sources: tuple[str, ...] = Field(
        min_length=1, description='"stdlib", "task:NAME", "datasets:NAME[:SPLIT]", a file, a folder or a glob'
    )
    tokenizer: str = Field(
        default="bytes",
        description='"bytes", "bpe:SIZE" or "words:SIZE" (made from the sources), "init", a tokenizer file or folder',
    )
    text_field: str | None = Field(
        default=None, description="column of JSONL, Parquet and datasets; None looks for text, content, code"
    )
    documents: str = Field(
        default=FILES,
        description='what a document of a text file is: "files" (all of it), "blocks" (between blank lines), or '
        '"separator:TEXT" (between TEXTs)',
    )
    tokenizer_sample_bytes: int = Field(
        default=24_000_000,
        gt=0,
        description="text that a tokenizer is made from, drawn over all sources in the proportion of their weights",
    )
    weights: tuple[PositiveFloat, ...] | None = Field(
        default=None,
        description="each source's share of the training tokens, such as [9, 1]; None: as much as each has. A source that "
        "is read to its end begins again",
    )
    mask_prompts: bool = Field(
        default=False,
        description="learn answers only: prompts of tasks and of tables are read but are no targets of the loss",
    )
    prompt_field: str = Field(
        default="prompt", description="column of JSONL, Parquet and datasets that holds the prompt"
    )
    align_documents: bool = Field(
        default=False, description="begin every window at a document's beginning: for short documents, met so later on"
    )
    holdout: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="share of documents kept for validation, by hash of a file's name or of a document's text",
    )
    cache: str | None = Field(
        default=None, description="folder of tokenised shards; None: MTP_EVAL_CACHE or ~/.cache/mtp-eval"
    )
    decontaminate: tuple[str, ...] = Field(default=(), description="tasks whose overlapping documents are dropped")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.weights is not None and len(self.weights) != len(self.sources):
            raise ValueError(f"weights has {len(self.weights)} entries, sources has {len(self.sources)}")
        if not is_rule(self.documents):
            raise ValueError(f"documents = {self.documents!r}: expected one of {', '.join(RULES)}")
        return self


class OptimizerConfig(Section):
    """AdamW with linear warm-up and decay; the defaults are the paper's."""

    learning_rate: float = Field(default=3e-4, gt=0)
    decay: Literal["cosine", "constant"] = Field(
        default="cosine",
        description="after the warm-up; constant stays at the peak, so that a run that is extended equals a longer one",
    )
    final_ratio: float = Field(default=0.03, ge=0, le=1, description="final learning rate over the peak")
    warmup_steps: int = Field(default=100, ge=0)
    weight_decay: float = Field(default=0.1, ge=0, description="on matrices only")
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    clip_norm: float = Field(default=1.0, ge=0, description="0 does not clip")


class LossConfig(Section):
    """The loss is the weighted sum over heads of the mean cross-entropy per position."""

    head_weights: tuple[float, ...] | None = Field(default=None, description="one per head; None: all 1, the paper's")
    average_heads: bool = Field(default=False, description="divide the sum by n_future")
    chunk_tokens: int | None = Field(
        default=None, ge=0, description="positions per unembedding; 0: all at once; None: 1024 from 4096 ids up, else 0"
    )
    curriculum: Literal["none", "forward", "reverse"] = Field(
        default="none", description="grow the horizon 1..n in equal stages of the run, or shrink it n..1"
    )
    auxiliary_decay: float = Field(
        default=1.0, ge=0, le=1, description="weight of heads 2..n falls linearly to this share of itself over the run"
    )
    order_window: int = Field(
        default=0,
        ge=0,
        le=FARTHEST_ORDER,
        description="token order prediction (arXiv 2508.19228): rank the next so many tokens by how soon they come; 0: none",
    )
    order_weight: float = Field(default=1.0, gt=0, description="of that loss, beside head 1's")
    register_distance: int = Field(
        default=0,
        ge=0,
        description="MuToR (arXiv 2505.10518): a register behind every token predicts the token up to so many places on; 0: none",
    )
    register_weight: float = Field(
        default=0.43, gt=0, description="of that loss, beside head 1's; 0.43 is the paper's 0.3 to 0.7"
    )

    @property
    def beside(self) -> tuple[str, ...]:
        """Names of the losses beside the heads', in the order of metrics.csv."""
        wanted = {"order": self.order_window, "registers": self.register_distance}
        return tuple(name for name, size in wanted.items() if size)


class TrainConfig(Section):
    """Everything that decides the trained weights, and how the run is watched."""

    model: ModelShape
    data: DataConfig
    optimizer: OptimizerConfig = OptimizerConfig()
    loss: LossConfig = LossConfig()
    choice: ChoiceConfig = ChoiceConfig()
    seed: int = Field(default=0, ge=0)
    steps: int | None = Field(default=None, gt=0, description="optimizer steps; give steps or tokens")
    tokens: int | None = Field(default=None, gt=0, description="training tokens, rounded up to whole steps")
    batch_size: int = Field(gt=0, description="sequences per optimizer step, over all processes")
    micro_batch_size: int | None = Field(default=None, gt=0, description="sequences at once in one process; None: all")
    init: str | None = Field(
        default=None, description="checkpoint to start from; shape and tokenizer are then its own, n_future may differ"
    )
    freeze: Literal["none", "trunk"] = Field(default="none", description="trunk: only heads 2..n learn")

    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:0")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="bf16 is autocast; weights stay fp32"
    )
    compile: Literal["auto", "on", "off"] = Field(default="auto", description="torch.compile; auto: on a GPU only")
    parallel: Literal["ddp", "fsdp"] = Field(default="ddp", description="under torchrun")
    gradient_sync: Literal["step", "micro_batch"] = Field(
        default="step",
        description="with fsdp: sum gradients once a step, or once a micro-batch, which holds no whole gradients",
    )
    threads: int | None = Field(default=None, gt=0, description="CPU threads; None: torch's choice")

    validate_every: int = Field(default=200, ge=0, description="steps; 0: at the end only")
    validation_windows: int = Field(default=64, gt=0, description="sequences, the same ones each time")
    early_stop: int = Field(default=0, ge=0, description="stop after so many validations without improvement; 0: never")
    checkpoint_every: int = Field(default=500, ge=0, description="steps; 0: at the end only")
    keep_checkpoints: int = Field(default=1, gt=0, description="how many of the periodic checkpoints stay")
    log_every: int = Field(default=20, gt=0, description="steps between lines of metrics.csv")
    tensorboard: bool = Field(default=False, description="write event files (needs `pip install tensorboard`)")

    @model_validator(mode="before")
    @classmethod
    def _auto_is_a_choice(cls, values: Any) -> Any:
        return asked_for_choices(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_choices()
        if (self.steps is None) == (self.tokens is None):
            raise ValueError("give the budget as either steps or tokens")
        weights = self.loss.head_weights
        if weights is not None and len(weights) != self.model.n_future:
            raise ValueError(f"loss.head_weights has {len(weights)} entries, model.n_future is {self.model.n_future}")
        if self.loss.order_window and weights is not None and weights[0] == 0:
            raise ValueError(
                "loss.order_window ranks tokens by what head 1 is learning, and loss.head_weights gives head 1 no weight: raise it"
            )
        if self.loss.order_window and self.freeze == "trunk":
            raise ValueError(
                "loss.order_window teaches the trunk, and freeze = 'trunk' lets it learn nothing: leave one of them out"
            )
        self._check_registers()
        if self.freeze == "trunk" and self.init is None:
            raise ValueError("freeze = 'trunk' trains heads on a finished model: name its checkpoint in init")
        if self.freeze == "trunk" and self.model.n_future == 1:
            raise ValueError("freeze = 'trunk' trains heads 2..n: model.n_future must be at least 2")
        if self.freeze == "trunk" and self.model.head_kind == "anticausal":
            raise ValueError(
                "freeze = 'trunk' leaves nothing to train with anticausal heads, all of which the next-token path passes: "
                "use another model.head_kind, or freeze = 'none'"
            )
        return self

    def _check_choices(self) -> None:
        given, loss = self.loss.head_weights is not None, self.loss
        if self.choice.n_future:
            self.choice.refuse_n_future(
                init=self.init is not None, head_weights=given, registers=loss.register_distance > 0
            )
        if self.choice.weights:
            self.choice.refuse_weights(
                n_future=self.model.n_future,
                frozen=self.freeze == "trunk",
                others=[
                    *(["loss.head_weights"] if given else []),
                    *(["loss.curriculum"] if loss.curriculum != "none" else []),
                    *(["loss.auxiliary_decay"] if loss.auxiliary_decay < 1 else []),
                ],
            )

    def _check_registers(self) -> None:
        distance, n_future = self.loss.register_distance, self.model.n_future
        if not distance:
            return
        if n_future > 1:
            raise ValueError(
                f"loss.register_distance={distance} with model.n_future={n_future} is not supported: registers predict further "
                "tokens in the place of heads; set model.n_future = 1, or loss.register_distance = 0"
            )
        if distance > self.model.context_length:
            raise ValueError(
                f"loss.register_distance={distance} looks further than model.context_length={self.model.context_length}: lower it"
            )
        if self.loss.head_weights is not None and self.loss.head_weights[0] == 0:
            raise ValueError(
                "loss.register_distance adds to what head 1 is learning, and loss.head_weights gives head 1 no weight: raise it"
            )

    @property
    def tokens_per_step(self) -> int:
        """Positions that one optimizer step sees."""
        return self.batch_size * self.model.context_length

    @property
    def lookahead(self) -> int:
        """Tokens beyond a window's last position that its targets reach."""
        return max(self.model.n_future, self.loss.order_window, self.loss.register_distance)

    @property
    def total_steps(self) -> int:
        """The budget in optimizer steps."""
        return self.steps if self.steps is not None else -(-(self.tokens or 0) // self.tokens_per_step)
