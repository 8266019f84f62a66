"""Architectures beyond the base of the zoo, continued."""

from __future__ import annotations

from zoo_shapes import (
    BART,
    BERT,
    DECODER,
    EYE,
    GPT,
    GROUPED,
    HEADS_OF_8,
    LATENT,
    MARIAN,
    MOE,
    QWEN_EYE,
    QWEN_TEXT,
    ROBERTA,
    SHAPE,
    SHARED_MOE,
    SLIDING,
    T5,
    Entry,
)
from zoo_tokenizers import gpt_like, llama_like, roberta_like, wordpiece

# Kin of the others, each with code of its own.
KIN: dict[str, Entry] = {
    "blenderbot-small/decoder": (roberta_like, ("BlenderbotSmallForConditionalGeneration", MARIAN)),
    "cohere2-moe": (gpt_like, ("Cohere2MoeForCausalLM", SLIDING | {"num_experts": 4, "num_experts_per_tok": 2})),
    "cwm": (llama_like, ("CwmForCausalLM", SLIDING)),
    "esmc": (wordpiece, ("EsmcForMaskedLM", SHAPE)),
    "exaone-moe": (gpt_like, ("ExaoneMoeForCausalLM", SLIDING | MOE | {"num_experts": 4, "num_shared_experts": 1})),
    "flex-olmo": (gpt_like, ("FlexOlmoForCausalLM", GROUPED | {"num_experts": 4, "num_experts_per_tok": 2})),
    "fuyu": (gpt_like, ("FuyuForCausalLM", {"text_config": DECODER | {"model_type": "persimmon"}})),
    "glm-moe-dsa": (
        gpt_like,
        ("GlmMoeDsaForCausalLM", LATENT | {"index_n_heads": 2, "index_head_dim": 8, "index_topk": 4}),
    ),
    "glm4-moe-lite": (gpt_like, ("Glm4MoeLiteForCausalLM", LATENT)),
    "gpt-neox-japanese": (gpt_like, ("GPTNeoXJapaneseForCausalLM", DECODER | {"intermediate_multiple_size": 2})),
    "granite-moe-hybrid": (
        gpt_like,
        (
            "GraniteMoeHybridForCausalLM",
            GROUPED
            | {
                "layer_types": ["attention"] * 3,
                "num_local_experts": 0,
                "shared_intermediate_size": 16,
                "mamba_n_heads": 4,
                "mamba_d_head": 16,
            },
        ),
    ),
    "granite-moe-shared": (
        gpt_like,
        (
            "GraniteMoeSharedForCausalLM",
            GROUPED | {"num_local_experts": 4, "num_experts_per_tok": 2, "shared_intermediate_size": 16},
        ),
    ),
    "gte": (wordpiece, ("GteForMaskedLM", BERT)),
    "hyperclovax": (gpt_like, ("HyperCLOVAXForCausalLM", GROUPED)),
    "jais2": (gpt_like, ("Jais2ForCausalLM", GROUPED)),
    "jina-embeddings-v3": (roberta_like, ("JinaEmbeddingsV3ForMaskedLM", BERT)),
    "luke": (roberta_like, ("LukeModel", ROBERTA | {"entity_vocab_size": 8, "entity_emb_size": 16})),
    "minicpm3": (llama_like, ("MiniCPM3ForCausalLM", LATENT)),
    "minimax-m2": (gpt_like, ("MiniMaxM2ForCausalLM", HEADS_OF_8 | {"num_local_experts": 4, "num_experts_per_tok": 2})),
    "mistral4": (llama_like, ("Mistral4ForCausalLM", LATENT)),
    "nanochat": (gpt_like, ("NanoChatForCausalLM", GROUPED)),
    "nemotron": (gpt_like, ("NemotronForCausalLM", GROUPED)),
    "nllb-moe/decoder": (roberta_like, ("NllbMoeForConditionalGeneration", BART | {"num_experts": 4})),
    "nllb-moe/encoder": (roberta_like, ("NllbMoeForConditionalGeneration", BART | {"num_experts": 4})),
    "openai-gpt": (gpt_like, ("OpenAIGPTLMHeadModel", GPT)),
    "plbart/decoder": (roberta_like, ("PLBartForConditionalGeneration", BART)),
    "plbart/encoder": (roberta_like, ("PLBartForConditionalGeneration", BART)),
    "qwen3-vl": (
        gpt_like,
        (
            "Qwen3VLForConditionalGeneration",
            {
                "text_config": QWEN_TEXT | {"head_dim": 8},
                "vision_config": QWEN_EYE
                | {"hidden_size": 16, "intermediate_size": 16, "out_hidden_size": 32, "deepstack_visual_indexes": [0]},
            },
        ),
    ),
    "roc-bert": (wordpiece, ("RoCBertModel", BERT | {"pronunciation_vocab_size": 8, "shape_vocab_size": 8})),
    "smolvlm": (
        gpt_like,
        ("SmolVLMForConditionalGeneration", {"text_config": GROUPED | {"model_type": "llama"}, "vision_config": EYE}),
    ),
    "solar-open": (gpt_like, ("SolarOpenForCausalLM", SHARED_MOE | {"n_group": 1, "topk_group": 1})),
    "splinter": (wordpiece, ("SplinterModel", BERT)),
    "switch/decoder": (
        roberta_like,
        ("SwitchTransformersForConditionalGeneration", T5 | {"num_decoder_layers": 3, "num_experts": 4}),
    ),
    "switch/encoder": (
        roberta_like,
        ("SwitchTransformersForConditionalGeneration", T5 | {"num_decoder_layers": 3, "num_experts": 4}),
    ),
    "umt5/encoder": (roberta_like, ("UMT5ForConditionalGeneration", T5)),
}
