"""Models to measure on: the demo weights, and random weights of roberta-base's and GPT-2's shape."""

from collections.abc import Callable
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    Gemma3TextConfig,
    Gemma3TextModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
)

from benchmarks.timing import machine
from headscope import Scope
from headscope.neighbors import warm_up

TEXT = "Time flies like an arrow, fruit flies like a banana and nobody knows where either of them lands"


def scopes() -> dict[str, Scope]:
    """Both models that the benchmarks are run on."""
    return {"roberta-base size": Scope.from_model(*roberta_base()), "demo": Scope.from_pretrained("demo")}


def on_both(measure: Callable[[Scope], dict[str, Any]]) -> dict[str, object]:
    """What is measured on either model, where the compiled search is loaded; and the machine."""
    warm_up(wait=True)
    return {"machine": machine(), **{name: measure(scope) for name, scope in scopes().items()}}


def roberta_base() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """RobertaConfig's defaults, 12 layers × 12 heads of 64 and 50,265 tokens, with seeded random weights."""
    torch.manual_seed(0)
    config = RobertaConfig(vocab_size=50_265, max_position_embeddings=514, type_vocab_size=1)
    return RobertaModel(config).eval(), _tokenizer(50_265)


def gpt2_small() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """GPT2Config's defaults, 12 layers × 12 heads of 64 and 50,257 tokens, with seeded random weights."""
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config()).eval(), _tokenizer(50_257)


def gemma3_270m() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Gemma 3 270M's shape, 18 layers × 4 heads of 256 over 1 and 262,144 tokens, with seeded random weights."""
    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=262_144, hidden_size=640, intermediate_size=2048, num_hidden_layers=18, num_attention_heads=4,
        num_key_value_heads=1, head_dim=256, query_pre_attn_scalar=256,
    )  # fmt: skip
    return Gemma3TextModel(config).eval(), _tokenizer(262_144)


def _tokenizer(size: int) -> PreTrainedTokenizerFast:
    # The words of TEXT, and made-up ones up to the size: an id is all that the arithmetic sees.
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    words = dict.fromkeys([*special, *TEXT.replace(",", " ,").split()])
    tokens = [*words, *(f"word{n}" for n in range(size - len(words)))]
    tokenizer = Tokenizer(models.WordLevel({token: id for id, token in enumerate(tokens)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
    )  # fmt: skip
