"""MuToR's registers against an interleaved sequence with an explicit mask, and against the model without them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mtp_eval.harness.backends.base import DecodingSettings
from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import load_checkpoint
from mtp_eval.harness.models.config import HeadKind, ModelConfig
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.size import model_size
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training.assemble import new_stepper
from mtp_eval.harness.training.corpus import Window
from mtp_eval.harness.training.distributed import Processes
from mtp_eval.harness.training.loop import train
from mtp_eval.harness.training.loss import sequential_backward
from mtp_eval.harness.training.registers import RegisterLoss, draw_distances, register_targets
from mtp_eval.harness.training.runtime import resolve_runtime
from mtp_eval.harness.training.targets import IGNORED, future_targets
from mtp_eval.harness.training.token_order import OrderLoss, order_targets
from mtp_eval.results.curves import read_curve
from mtp_eval.tasks.problem import Request
from tests.harness.training.test_loss import KINDS, gradients, small_model
from tests.harness.training.tiny_runs import documents as lines
from tests.harness.training.tiny_runs import same, tiny, weights

LENGTH, FARTHEST = 12, 5
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def batch() -> Batch:
    """Tokens, documents of several lengths, which tokens are learnt, and a distance for each row."""
    generator = torch.Generator().manual_seed(5)
    n = LENGTH + FARTHEST
    tokens = torch.randint(0, 37, (4, n), generator=generator)
    documents = torch.tensor([[0] * 5 + [1] * (n - 5), [3] * (n - 6) + [-1] * 6, list(range(n)), [9] * n])
    learnt = torch.rand(4, n, generator=generator) < 0.7
    return tokens, documents, learnt, torch.tensor([2, 5, 1, 3])


def interleaved_logits(model: MTPModel, tokens: torch.Tensor, distances: torch.Tensor) -> torch.Tensor:
    """`(B, 2T, V)`: x_1 r x_2 r ... as one sequence, written out with nothing of the model but its parameters."""
    config, of = model.config, dict(model.named_parameters())
    length, size = tokens.shape[1], config.head_size
    places = torch.arange(2 * length)
    positions = torch.where(places % 2 == 0, places // 2, places // 2 + distances[:, None] - 1)
    apart = places[:, None] // 2 - places[None] // 2  # counted in tokens
    seen = (places[None] % 2 == 0) & (apart >= 0) & (apart < (config.sliding_window or math.inf))
    seen |= torch.eye(2 * length, dtype=torch.bool)
    register = of["register_tokens.0.weight"].expand(len(tokens), length, -1)
    x = torch.stack([of["embed_tokens.weight"][tokens], register], dim=2).flatten(1, 2)

    def normed(x: torch.Tensor, name: str) -> torch.Tensor:
        return x / (x.square().mean(-1, keepdim=True) + config.norm_eps).sqrt() * of[f"{name}.weight"]

    def split(x: torch.Tensor, name: str, n_heads: int) -> torch.Tensor:
        return (
            (x @ of[f"{name}.weight"].T).unflatten(-1, (n_heads, size)).repeat_interleave(config.n_heads // n_heads, 2)
        )

    def turned(x: torch.Tensor) -> torch.Tensor:
        angles = positions[..., None] * config.rope_theta ** (-2 * torch.arange(size // 2).double() / size)
        z = (
            torch.complex(x[..., : size // 2], x[..., size // 2 :])
            * torch.polar(torch.ones(()).double(), angles)[:, :, None]
        )
        return torch.cat([z.real, z.imag], dim=-1)

    def layer(x: torch.Tensor, name: str) -> torch.Tensor:
        read, attention = normed(x, f"{name}.input_layernorm"), f"{name}.self_attn"
        q, k = (
            turned(split(read, f"{attention}.q_proj", config.n_heads)),
            turned(split(read, f"{attention}.k_proj", config.kv_heads)),
        )
        scores = torch.einsum("bihe,bjhe->bhij", q, k) / math.sqrt(size)
        shares = scores.masked_fill(~seen, -math.inf).softmax(-1)
        mixed = torch.einsum("bhij,bjhe->bihe", shares, split(read, f"{attention}.v_proj", config.kv_heads)).flatten(2)
        x = x + mixed @ of[f"{attention}.o_proj.weight"].T
        read = normed(x, f"{name}.post_attention_layernorm")
        gate, up = read @ of[f"{name}.mlp.gate_proj.weight"].T, read @ of[f"{name}.mlp.up_proj.weight"].T
        return x + (gate * gate.sigmoid() * up) @ of[f"{name}.mlp.down_proj.weight"].T

    for i in range(config.n_trunk_layers):
        x = layer(x, f"trunk.{i}")
    x = x @ of["heads.0.proj.weight"].T if config.head_kind == "linear" else layer(x, "heads.0")
    return normed(x, "norm") @ of["embed_tokens.weight" if config.tie_embeddings else "lm_head.weight"].T


def nats_by_hand(logits: torch.Tensor, batch: Batch, ahead: list[int]) -> tuple[torch.Tensor, int]:
    """Summed cross-entropy of the tokens that lie `ahead[row]` places on, and how many these are, one by one."""
    tokens, documents, learnt, _ = batch
    logs, total, count = logits.log_softmax(-1), logits.new_zeros(()), 0
    for b, distance in enumerate(ahead):
        for t in range(LENGTH):
            if documents[b, t] == documents[b, t + distance] != -1 and learnt[b, t + distance]:
                total, count = total - logs[b, t, tokens[b, t + distance]], count + 1
    return total, count


@pytest.mark.parametrize(
    ("kind", "changes"),
    [*((kind, {}) for kind in KINDS), ("parallel", {"sliding_window": 4}), ("parallel", {"tie_embeddings": True})],
)
def test_gradients_are_those_of_an_interleaved_sequence(kind: HeadKind, changes: dict[str, object]) -> None:
    model = small_model(kind, 1, register_token=True, **changes)
    tokens, documents, learnt, distances = batch()
    logits = interleaved_logits(model, tokens[:, :LENGTH], distances)
    plain, n_plain = nats_by_hand(logits[:, 0::2], batch(), [1] * 4)
    ahead, n_ahead = nats_by_hand(logits[:, 1::2], batch(), distances.tolist())
    torch.autograd.backward(0.1 * plain + 0.07 * ahead)
    expected = gradients(model)
    registers = RegisterLoss(distances, register_targets(tokens, documents, distances, LENGTH, learnt), 0.07)
    targets = future_targets(tokens, documents, 1, LENGTH, learnt)
    for chunk_tokens in (0, 7):
        sums = sequential_backward(model, tokens, targets, [1.0], 0.1, chunk_tokens=chunk_tokens, registers=registers)
        got = gradients(model)
        assert got.keys() == expected.keys()
        assert max(float((got[name] - expected[name]).abs().max()) for name in expected) < 1e-10
        assert sums.nats.tolist() == pytest.approx([float(plain.detach())], rel=1e-12)
        assert sums.targets.tolist() == [n_plain]
        assert sums.beside["registers"].tolist() == pytest.approx([float(ahead.detach()), n_ahead], rel=1e-12)


def test_registers_and_token_order_add_up() -> None:
    model = small_model("parallel", 1, register_token=True, order_unembedding=True)
    tokens, documents, learnt, distances = batch()
    targets = future_targets(tokens, documents, 1, LENGTH, learnt)
    registers = RegisterLoss(distances, register_targets(tokens, documents, distances, LENGTH, learnt), 0.07)
    order = OrderLoss(order_targets(tokens, documents, 4, LENGTH, learnt), 0.3)
    found = []
    for beside in ({}, {"order": order}, {"registers": registers}, {"order": order, "registers": registers}):
        sums = sequential_backward(model, tokens, targets, [1.0], 0.1, **beside)
        assert sums.beside.keys() == beside.keys()
        found.append(gradients(model))
    none, with_order, with_registers, both = found
    for name, gradient in both.items():
        zero = torch.zeros_like(gradient)
        parts = with_order.get(name, zero) + with_registers.get(name, zero) - none.get(name, zero)
        torch.testing.assert_close(gradient, parts, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window", [None, 4])
def test_the_next_token_path_is_bit_for_bit_that_without_registers(kind: HeadKind, window: int | None) -> None:
    values = {**small_model(kind, 1).config.model_dump(), "sliding_window": window}
    plain = new_model(ModelConfig.model_validate(values), seed=3)
    model = new_model(ModelConfig.model_validate({**values, "register_token": True}), seed=3)
    tokens, documents, learnt, distances = batch()
    targets = future_targets(tokens, documents, 1, LENGTH, learnt)
    registers = RegisterLoss(distances, register_targets(tokens, documents, distances, LENGTH, learnt), 0.5)
    seen: list[torch.Tensor] = []
    hook = model.lm_head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    sums = sequential_backward(model, tokens, targets, [1.0], 0.1, registers=registers)
    hook.remove()
    expected = sequential_backward(plain, tokens, targets, [1.0], 0.1)
    assert torch.equal(sums.nats, expected.nats)
    assert torch.equal(model.lm_head(seen[0]), plain(tokens, LENGTH)[0].flatten(0, 1))
    assert torch.equal(model(tokens, LENGTH)[0], plain(tokens, LENGTH)[0])


def test_targets_never_cross_documents_nor_name_prompts() -> None:
    tokens = torch.arange(10)[None].repeat(2, 1)
    documents = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 2, 2, -1]]).repeat(2, 1)
    learnt = torch.ones(2, 10, dtype=torch.bool)
    learnt[:, 4] = False
    targets = register_targets(tokens, documents, torch.tensor([1, 2]), 8, learnt)
    assert targets[0].tolist() == [1, 2, IGNORED, IGNORED, 5, 6, IGNORED, 8]
    assert targets[1].tolist() == [2, IGNORED, IGNORED, 5, 6, IGNORED, IGNORED, IGNORED]
    assert RegisterLoss(torch.tensor([1, 2]), targets, 1.0).positions.tolist() == [[*range(8)], [*range(1, 9)]]


def test_distances_are_drawn_from_the_seed_and_the_step() -> None:
    drawn = np.stack([draw_distances(7, step, 4, 64) for step in range(50)])
    counts = np.bincount(drawn.ravel(), minlength=5)
    assert counts[0] == 0
    assert (abs(counts[1:] - 800) < 4 * math.sqrt(3200 * 3 / 16)).all(), "evenly"
    assert (drawn[3] == draw_distances(7, 3, 4, 64)).all()
    assert (drawn[3] != draw_distances(8, 3, 4, 64)).any()
    assert (drawn[3] != drawn[4]).any()


def test_micro_batches_and_processes_see_the_same_distances() -> None:
    tokens = np.random.default_rng(0).integers(0, 256, (4, 48 + 6), dtype=np.int64)
    documents = np.zeros_like(tokens)
    found = []
    for micro in (4, 1):
        config = tiny(model__n_future=1, loss__register_distance=6, micro_batch_size=micro)
        stepper = new_stepper(config, 264, resolve_runtime(config, 264), Processes())
        sums, norm = stepper.step(2, Window(tokens, documents))
        found.append((sums.beside["registers"].tolist(), float(norm)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-4)
    halves: list[int] = []
    for rank in range(2):
        stepper.processes = Processes(rank, 2)
        drawn = stepper.distances(2)
        assert drawn is not None
        halves.extend(drawn)
    assert halves == draw_distances(config.seed, 2, 6, 4).tolist()


@pytest.mark.parametrize("kind", ["parallel", "linear"])
def test_sizes_count_the_register_and_its_work_in_training_only(kind: HeadKind) -> None:
    plain, model = (small_model(kind, 1, register_token=on) for on in (False, True))
    before, counted = model_size(plain.config), model_size(model.config)
    assert counted.n_parameters == sum(p.numel() for p in model.parameters())
    assert counted.n_parameters_next_token == before.n_parameters_next_token
    assert counted.train_flops_per_token == 2 * before.train_flops_per_token
    assert counted.decode_flops_per_token == before.decode_flops_per_token


@pytest.mark.slow
def test_a_training_learns_ahead_and_leaves_an_ordinary_model(tmp_path: Path) -> None:
    registers = {"model__n_future": 1, "loss__register_distance": 4, "loss__register_weight": 1.0}
    train(tiny(log_every=1, **registers), lines(), tmp_path / "mutor")
    losses = [value for _, value in read_curve(tmp_path / "mutor", "loss_registers", "train")]
    assert losses[-1] < 0.7 * losses[0]
    checkpoint = load_checkpoint(tmp_path / "mutor")
    assert checkpoint.config.register_token
    engine = NativeBackend(tmp_path / "mutor", device="cpu")
    (completion,) = engine.generate([Request("p", 0, "x = ", 0, (), 8)], DecodingSettings())
    assert completion.n_tokens == completion.n_forwards == 8, "it drafts nothing"
    train(tiny(log_every=1, **registers), lines(), tmp_path / "again")
    assert same(weights(tmp_path / "mutor"), weights(tmp_path / "again"))
    train(tiny(seed=1, log_every=1, **registers), lines(), tmp_path / "other")
    assert not same(weights(tmp_path / "mutor"), weights(tmp_path / "other"))


@pytest.mark.slow
def test_registers_are_put_on_a_trained_model_and_left_out_again(tmp_path: Path) -> None:
    train(tiny(model__n_future=1, steps=4), lines(), tmp_path / "plain")
    tuned = tiny(init=tmp_path / "plain", model__n_future=1, steps=1, loss__register_distance=3, log_every=1)
    train(tuned, lines(), tmp_path / "tuned")
    train(tiny(init=tmp_path / "plain", model__n_future=1, steps=1, log_every=1), lines(), tmp_path / "without")
    first = [next(read_curve(tmp_path / name, "loss_head_1", "train")) for name in ("tuned", "without")]
    assert first[0] == first[1], "registers change nothing of what the trained model predicts"
    assert load_checkpoint(tmp_path / "tuned").config.register_token
    train(tiny(init=tmp_path / "tuned", model__n_future=2, steps=1), lines(), tmp_path / "heads")
    assert not load_checkpoint(tmp_path / "heads").config.register_token


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__n_future": 2}, "with model.n_future=2 is not supported"),
        ({"loss__register_distance": 49}, "looks further than model.context_length=48"),
        ({"loss__register_distance": -1}, "greater than or equal to 0"),
        ({"loss__register_weight": 0}, "greater than 0"),
        ({"loss__head_weights": [0.0]}, "gives head 1 no weight"),
    ],
)
def test_what_registers_cannot_do_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny(**{"model__n_future": 1, "loss__register_distance": 4, **changes})
