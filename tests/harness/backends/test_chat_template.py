"""What a chat model reads, byte for byte, against the text that EvalPlus 0.3.1 sends, written out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtp_eval.harness.backends.chat_template import templated
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.run import run
from mtp_eval.harness.models.checkpoint import save_checkpoint
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.tasks.chat import evalplus_chat
from mtp_eval.tasks.problem import Chat

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TRIMMING = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content.strip() }} [/INST]{% else %} "
    "{{ m.content.strip() }}</s>{% endif %}{% endfor %}"
)
DROPPING = "{% for m in messages %}{{ m.content.split('```')[-1] if m.role == 'assistant' else m.content }}{% endfor %}"
PROMPT = 'def twice(x):\n    """Double x."""\n\n'
CHATML_TEXT = '''<|im_start|>user
Please provide a self-contained Python script that solves the following problem in a markdown code block:
```
def twice(x):
    """Double x."""
```
<|im_end|>
<|im_start|>assistant
Below is a Python script with a self-contained function that solves the problem and passes corresponding tests:
```python
'''
TRIMMED_TEXT = '''<s>[INST] Please provide a self-contained Python script that solves the following problem in a markdown code block:
```
def twice(x):
    """Double x."""
``` [/INST] Below is a Python script with a self-contained function that solves the problem and passes corresponding tests:
```python
'''


def tokenizer(template: str):
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token="<s>", chat_template=template)


@pytest.mark.parametrize(("template", "text"), [(CHATML, CHATML_TEXT), (TRIMMING, TRIMMED_TEXT)])
def test_the_template_goes_around_the_question_and_the_answer_is_begun(template: str, text: str) -> None:
    assert templated(tokenizer(template), evalplus_chat(PROMPT)) == text


def test_a_template_that_drops_the_beginning_of_an_answer_is_refused() -> None:
    with pytest.raises(InputError, match="does not keep the beginning of an answer"):
        templated(tokenizer(DROPPING), Chat("q", "a\n```python\n", "q"))


def test_models_without_a_template_refuse_chats_before_work(tmp_path: Path, benchmark_data: object) -> None:
    config = ModelConfig(vocab_size=264, d_model=16, n_layers=2, n_heads=2, d_ff=32, context_length=64)
    save_checkpoint(tmp_path / "ckpt", new_model(config, seed=0), ByteTokenizer(), {})
    with pytest.raises(InputError, match="ckpt has no chat template: those checkpoints have one"):
        run(model=str(tmp_path / "ckpt"), task="humaneval,mbpp@chat", limit=1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_system_prompt_stands_before_the_question_or_is_refused() -> None:
    chat = evalplus_chat(PROMPT)
    assert templated(tokenizer(CHATML), chat, "Be brief.") == f"<|im_start|>system\nBe brief.<|im_end|>\n{CHATML_TEXT}"
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system prompt') }}{% endif %}" + CHATML
    assert templated(tokenizer(refusing), chat) == CHATML_TEXT
    with pytest.raises(InputError, match="refuses the question: no system prompt"):
        templated(tokenizer(refusing), chat, "Be brief.")
