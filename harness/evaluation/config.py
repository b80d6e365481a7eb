"""The options of a run: one frozen object, from the command line, a TOML file or Python, hashed so that runs never mix."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mtp_eval.harness.backends.registry import identity_of
from mtp_eval.harness.config import Config, Counts, Folder, Limit, Names, Temperatures, Texts
from mtp_eval.harness.evaluation.execution import ExecutionOptions
from mtp_eval.results.shard import RunShard

Decode = Literal["auto", "autoregressive", "self-speculative"]
Acceptance = Literal["coupled", "rejection"]

DOES_NOT_CHANGE_RESULTS = frozenset(
    {
        "out",
        "workers",
        "data_dir",
        "verify_decoding",
        "max_infrastructure_errors",
        "concurrency",
        "request_timeout",
        "shard",
        "cluster",
        "price_in",
        "price_out",
    }
)
"""Options that may differ between a run and its resumption, or between the shards of a run."""


def _shard_text(text: str) -> str:
    return str(RunShard.parse(text))


ShardText = Annotated[str, AfterValidator(_shard_text)]
"""I/N."""


class SamplingOptions(Config):
    """Options of sampling: how the next token is chosen."""

    GROUP: ClassVar[str] = "Sampling"

    temperature: Temperatures = Field(
        default=(0.0,),
        min_length=1,
        description="0 is greedy; 0.2,0.8 is a sweep.",
        json_schema_extra={"metavar": "T,T,..."},
    )
    top_p: float = Field(default=1.0, gt=0.0, le=1.0, description="Nucleus sampling; 1 keeps every token.")
    top_k: int = Field(default=0, ge=0, description="Keep the k likeliest tokens; 0 keeps all.")
    max_new_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Tokens per completion.",
        json_schema_extra={"default": "the task's own"},
    )


class DecodingOptions(Config):
    """Options of decoding; none of them changes a greedy completion."""

    GROUP: ClassVar[str] = "Decoding"

    decode: Decode = Field(default="auto", description="How drafts are used; auto measures which way is faster here.")
    draft_heads: int | None = Field(
        default=None,
        ge=1,
        description="Heads used when decoding, head 1 included.",
        json_schema_extra={"default": "decode's choice"},
    )
    acceptance: Acceptance = Field(default="coupled", description="How drafts are judged when sampling.")
    verify_decoding: int = Field(
        default=0, ge=0, description="Compare the first N completions per model and task with plain decoding."
    )
    batch_size: int = Field(default=32, ge=1, description="Rows decoded together at most.")
    shard_size: int = Field(
        default=256, ge=1, description="Completions generated in one piece; an interrupted run repeats its last piece."
    )
    device: str = Field(
        default="auto", description="auto, cpu, cuda, cuda:1, mps; all spreads an hf: model over all GPUs."
    )
    dtype: str = Field(default="auto", description="auto, float32, bfloat16 or float64.")
    trust_remote_code: bool = Field(
        default=False,
        description="Let an hf: model run code that its repository brings, on this machine, outside the sandbox.",
    )


class ChatOptions(Config):
    """Options for chat models and for servers."""

    GROUP: ClassVar[str] = "Chat and servers"

    system: Path | None = Field(
        default=None,
        description="File with the system prompt, for protocols @chat.",
        json_schema_extra={"metavar": "FILE", "default": "none"},
    )
    concurrency: int = Field(default=16, ge=1, le=1000, description="Requests under way at once, for openai: models.")
    request_timeout: float = Field(default=120.0, gt=0.0, description="Seconds for one request.")
    samples_per_request: int = Field(
        default=1, ge=1, description="Samples of one prompt asked for together (n=), for openai: models."
    )
    price_in: float | None = Field(
        default=None, ge=0.0, description="Dollars per million prompt tokens, to state what a run cost."
    )
    price_out: float | None = Field(default=None, ge=0.0, description="Dollars per million completion tokens.")


class FileOptions(Config):
    """Options for files: where benchmarks are read and runs are written."""

    GROUP: ClassVar[str] = "Files"

    data_dir: Folder | None = Field(
        default=None, description="Folder of benchmark files.", json_schema_extra={"default": "$MTP_EVAL_DATA"}
    )
    out: Path | None = Field(default=None, description="Run folder.", json_schema_extra={"default": "runs/NAME-HASH"})
    shard: ShardText | None = Field(
        default=None,
        description="Only part I of N, for N processes or machines; `mtp-eval merge` makes one run of the N folders.",
        json_schema_extra={"metavar": "I/N", "default": "the whole run"},
    )

    @property
    def run_shard(self) -> RunShard | None:
        """The option `shard` as numbers; None for the whole run."""
        return None if self.shard is None else RunShard.parse(self.shard)


class RunConfig(SamplingOptions, DecodingOptions, ChatOptions, ExecutionOptions, FileOptions):
    """The options of `mtp-eval run`; each is a command-line option and a key of the config file under the same name."""

    GROUP: ClassVar[str] = "What to evaluate"

    model: Texts = Field(
        min_length=1,
        description="Checkpoint folder or other model spec, see `mtp-eval models`; repeat to compare.",
        json_schema_extra={"metavar": "SPEC"},
    )
    task: Names = Field(
        min_length=1,
        description="Benchmarks, see `mtp-eval tasks`; with commas or repeated.",
        json_schema_extra={"metavar": "NAME,NAME,..."},
    )
    n_samples: int = Field(default=1, ge=1, description="Completions per problem.")
    k: Counts = Field(
        default=(1,), min_length=1, description="The k of pass@k.", json_schema_extra={"metavar": "K,K,..."}
    )
    limit: Limit | None = Field(
        default=None,
        description="The first N problems of each task, or a share of them such as 0.1.",
        json_schema_extra={"metavar": "N|SHARE", "default": "all"},
    )
    seed: int = Field(default=0, description="Seed of every random draw.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if max(self.k) > self.n_samples:
            raise ValueError(
                f"pass@{max(self.k)} needs at least {max(self.k)} completions per problem, "
                f"got n_samples={self.n_samples}: raise --n-samples or lower --k"
            )
        if self.n_samples > 1 and 0.0 in self.temperature:
            raise ValueError(
                f"n_samples={self.n_samples} at temperature 0 would be {self.n_samples} equal completions: "
                f"give --temperature above 0, or --n-samples 1"
            )
        for name, values in (("model", self.model), ("task", self.task), ("temperature", self.temperature)):
            if len(set(values)) != len(values):
                raise ValueError(f"the same {name} is given twice: {', '.join(map(str, values))}")
        return self

    def result_relevant(self) -> dict[str, Any]:
        """The options that decide the numbers, as JSON-serialisable values."""
        options = self.model_dump(mode="json", exclude=set(DOES_NOT_CHANGE_RESULTS))
        options["model"] = [identity_of(spec) for spec in self.model]
        if len(self.temperature) == 1:
            options["temperature"] = self.temperature[0]
        return options
