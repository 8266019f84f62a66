"""The shapes that tiny models share: as small as keeps heads, groups and layers apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import PreTrainedTokenizerFast

Config = tuple[str, dict[str, Any]]  # the model class's name, and what its configuration is given
Entry = tuple[Callable[[], PreTrainedTokenizerFast], Config]

SHAPE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
DECODER = SHAPE | {"max_position_embeddings": 40}
GROUPED = DECODER | {"num_key_value_heads": 2}
HEADS_OF_8 = GROUPED | {"head_dim": 8}
ROBERTA = SHAPE | {"max_position_embeddings": 42, "type_vocab_size": 1, "pad_token_id": 1}
BERT = SHAPE | {"max_position_embeddings": 40}
GEMMA = HEADS_OF_8 | {"query_pre_attn_scalar": 8}
FALCON = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 40}
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4, "decoder_start_token_id": 1}
BART = {
    "d_model": 32,
    "encoder_layers": 3,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 40,
    "forced_eos_token_id": 2,
    "decoder_start_token_id": 2,
}

LATENT = DECODER | {  # v through a narrow, normalised row that all heads share
    "num_key_value_heads": 4,
    "moe_intermediate_size": 16,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "kv_lora_rank": 12,
    "q_lora_rank": 12,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}

MOE = HEADS_OF_8 | {"moe_intermediate_size": 16, "num_experts_per_tok": 2}
SHARED_MOE = MOE | {"n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 1}
SLIDING = HEADS_OF_8 | {"sliding_window": 6}
GPT = {"n_positions": 40, "n_embd": 32, "n_layer": 3, "n_head": 4}
MARIAN = BART | {"forced_eos_token_id": None, "decoder_start_token_id": 1}
DEBERTA = {
    "max_position_embeddings": 40,
    "relative_attention": True,
    "max_relative_positions": 8,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}
EYE = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}
QWEN_TEXT = GROUPED | {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}}
QWEN_EYE = {"depth": 1, "num_heads": 2, "patch_size": 4}
