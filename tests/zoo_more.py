"""Architectures beyond the base of the zoo."""

from __future__ import annotations

from zoo_shapes import (
    BART,
    BERT,
    DEBERTA,
    DECODER,
    EYE,
    GEMMA,
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

# Others that people have. All that is said of models in one test holds for them, too; where it is dear, it is slow.
OTHERS: dict[str, Entry] = {
    "apertus": (llama_like, ("ApertusForCausalLM", GROUPED)),
    "arcee": (llama_like, ("ArceeForCausalLM", GROUPED | {"attention_bias": True})),
    "bert-generation": (roberta_like, ("BertGenerationEncoder", BERT)),
    "bert-generation-decoder": (roberta_like, ("BertGenerationDecoder", BERT | {"is_decoder": True})),
    "biogpt": (roberta_like, ("BioGptForCausalLM", BERT)),
    "blenderbot/decoder": (roberta_like, ("BlenderbotForConditionalGeneration", MARIAN)),
    "blenderbot/encoder": (roberta_like, ("BlenderbotForConditionalGeneration", MARIAN)),
    "chameleon": (  # q and k of each head are normalised, texts and positions in one axis
        llama_like,
        (
            "ChameleonForConditionalGeneration",
            GROUPED
            | {
                "vocabulary_map": {"<image>": 4, "IMGIMGBSZ": 5},
                "vq_config": {
                    "embed_dim": 8,
                    "num_embeddings": 8,
                    "latent_channels": 8,
                    "resolution": 8,
                    "base_channels": 32,
                    "channel_multiplier": [1],
                    "num_res_blocks": 1,
                    "z_channels": 8,
                },
            },
        ),
    ),
    "clip-text": (roberta_like, ("CLIPTextModel", BERT | {"projection_dim": 16})),
    "codegen": (gpt_like, ("CodeGenForCausalLM", GPT | {"n_ctx": 40, "rotary_dim": 4})),
    "cohere2": (gpt_like, ("Cohere2ForCausalLM", SLIDING)),
    "data2vec-text": (roberta_like, ("Data2VecTextModel", ROBERTA)),
    "deberta": (roberta_like, ("DebertaModel", SHAPE | DEBERTA)),
    "dots1": (gpt_like, ("Dots1ForCausalLM", SHARED_MOE | {"n_group": 1, "topk_group": 1})),
    "embeddinggemma": (
        llama_like,
        ("Gemma3TextModel", GEMMA | {"sliding_window": 6, "use_bidirectional_attention": True}),
    ),
    "ernie": (wordpiece, ("ErnieModel", BERT)),
    "ernie4.5": (llama_like, ("Ernie4_5ForCausalLM", HEADS_OF_8 | {"use_bias": True})),
    "ernie4.5-moe": (
        llama_like,
        (
            "Ernie4_5_MoeForCausalLM",
            GROUPED
            | {
                "moe_intermediate_size": 16,
                "moe_k": 2,
                "moe_num_experts": 4,
                "moe_num_shared_experts": 1,
                "moe_layer_start_index": 1,
            },
        ),
    ),
    "eurobert": (llama_like, ("EuroBertModel", GROUPED)),
    "exaone4": (gpt_like, ("Exaone4ForCausalLM", GROUPED | {"sliding_window": 6, "sliding_window_pattern": 3})),
    "gemma3-vl": (
        llama_like,
        (
            "Gemma3ForConditionalGeneration",
            {"text_config": GEMMA | {"sliding_window": 6}, "vision_config": EYE, "mm_tokens_per_image": 4},
        ),
    ),
    "git": (
        wordpiece,
        ("GitForCausalLM", BERT | {"vision_config": EYE}),
    ),  # its file asks for attention by name, for images
    "glm": (gpt_like, ("GlmForCausalLM", HEADS_OF_8 | {"attention_bias": True})),
    "glm4": (gpt_like, ("Glm4ForCausalLM", HEADS_OF_8 | {"attention_bias": True})),
    "glm4-moe": (gpt_like, ("Glm4MoeForCausalLM", SHARED_MOE | {"use_qk_norm": True})),
    "gpt-bigcode": (gpt_like, ("GPTBigCodeForCausalLM", GPT)),
    "granite-speech": (  # what hears computes its attention itself, what reads looks it up by name
        llama_like,
        (
            "GraniteSpeechForConditionalGeneration",
            {
                "text_config": GROUPED | {"model_type": "granite"},
                "encoder_config": {
                    "input_dim": 8,
                    "num_layers": 1,
                    "hidden_dim": 16,
                    "num_heads": 2,
                    "dim_head": 8,
                    "output_dim": 4,
                    "context_size": 8,
                    "max_pos_emb": 8,
                },
                "projector_config": EYE | {"model_type": "blip_2_qformer", "encoder_hidden_size": 16, "vocab_size": 8},
                "has_lora_adapter": False,
            },
        ),
    ),
    "granite-moe": (
        gpt_like,
        ("GraniteMoeForCausalLM", GROUPED | {"num_local_experts": 4, "num_experts_per_tok": 2}),
    ),
    "granite-swa": (  # what its sinks take is taken from the output, behind the softmax
        gpt_like,
        (
            "GraniteSWAForCausalLM",
            GROUPED
            | {
                "sliding_window": 6,
                "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
                "attention_multiplier": 0.4,
                "residual_multiplier": 0.5,
            },
        ),
    ),
    "helium": (llama_like, ("HeliumForCausalLM", HEADS_OF_8)),
    "layoutlm": (wordpiece, ("LayoutLMModel", BERT)),
    "llama4": (
        llama_like,
        (
            "Llama4ForCausalLM",
            HEADS_OF_8
            | {
                "intermediate_size_mlp": 48,
                "num_local_experts": 2,
                "attention_chunk_size": 6,
                "no_rope_layers": [1, 1, 0],
            },
        ),
    ),
    "llava": (
        llama_like,
        (
            "LlavaForConditionalGeneration",
            {
                "text_config": GROUPED | {"model_type": "llama"},
                "vision_config": EYE | {"model_type": "clip_vision_model"},
                "image_token_index": 4,
            },
        ),
    ),
    "m2m100/decoder": (roberta_like, ("M2M100ForConditionalGeneration", BART)),
    "m2m100/encoder": (roberta_like, ("M2M100ForConditionalGeneration", BART)),
    "marian/decoder": (roberta_like, ("MarianMTModel", MARIAN)),
    "marian/encoder": (roberta_like, ("MarianMTModel", MARIAN)),
    "mbart/decoder": (roberta_like, ("MBartForConditionalGeneration", BART)),
    "mbart/encoder": (roberta_like, ("MBartForConditionalGeneration", BART)),
    "megatron-bert": (wordpiece, ("MegatronBertModel", BERT)),
    "ministral": (
        llama_like,
        (
            "MinistralForCausalLM",
            SLIDING | {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
        ),
    ),
    "ministral3": (llama_like, ("Ministral3ForCausalLM", HEADS_OF_8)),
    "minimax-m3": (  # a position sees 3 blocks of 2 others
        llama_like,
        (
            "MiniMaxM3VLForCausalLM",
            HEADS_OF_8
            | {
                "num_local_experts": 4,
                "num_experts_per_tok": 2,
                "index_n_heads": 2,
                "index_head_dim": 8,
                "index_block_size": 2,
                "index_topk_blocks": 2,
                "index_local_blocks": 1,
                "dense_intermediate_size": 48,
                "shared_intermediate_size": 16,
                "layer_types": ["minimax_m3_sparse"] * 3,
            },
        ),
    ),
    "mistral3": (
        llama_like,
        (
            "Mistral3ForConditionalGeneration",
            {
                "text_config": HEADS_OF_8 | {"model_type": "mistral", "sliding_window": None},
                "vision_config": EYE | {"model_type": "pixtral"},
                "image_token_index": 4,
            },
        ),
    ),
    "modernbert-decoder": (
        gpt_like,
        ("ModernBertDecoderForCausalLM", DECODER | {"local_attention": 8, "norm_bias": True, "attention_bias": True}),
    ),
    "mpt": (
        gpt_like,
        ("MptForCausalLM", {"d_model": 32, "n_heads": 4, "n_layers": 3, "expansion_ratio": 2, "max_seq_len": 40}),
    ),
    "mt5/encoder": (roberta_like, ("MT5ForConditionalGeneration", T5 | {"feed_forward_proj": "gated-gelu"})),
    "olmo": (gpt_like, ("OlmoForCausalLM", GROUPED)),
    "olmo3": (gpt_like, ("Olmo3ForCausalLM", SLIDING)),
    "olmoe": (gpt_like, ("OlmoeForCausalLM", GROUPED | {"num_experts": 4, "num_experts_per_tok": 2})),
    "pegasus/decoder": (roberta_like, ("PegasusForConditionalGeneration", MARIAN)),
    "pegasus/encoder": (roberta_like, ("PegasusForConditionalGeneration", MARIAN)),
    "persimmon": (gpt_like, ("PersimmonForCausalLM", DECODER)),
    "phimoe": (llama_like, ("PhimoeForCausalLM", GROUPED | {"num_local_experts": 4, "sliding_window": 6})),
    "qwen2-moe": (
        gpt_like,
        ("Qwen2MoeForCausalLM", MOE | {"num_experts": 4, "shared_expert_intermediate_size": 16}),
    ),
    "qwen2-vl": (
        gpt_like,
        (
            "Qwen2VLForConditionalGeneration",
            {"text_config": QWEN_TEXT, "vision_config": QWEN_EYE | {"embed_dim": 16, "hidden_size": 32}},
        ),
    ),
    "qwen2.5-vl": (
        gpt_like,
        (
            "Qwen2_5_VLForConditionalGeneration",
            {
                "text_config": QWEN_TEXT,
                "vision_config": QWEN_EYE
                | {"hidden_size": 16, "intermediate_size": 16, "out_hidden_size": 32, "fullatt_block_indexes": [0]},
            },
        ),
    ),
    "qwen3-moe": (gpt_like, ("Qwen3MoeForCausalLM", MOE | {"num_experts": 4})),
    "rembert": (wordpiece, ("RemBertModel", BERT | {"input_embedding_size": 20})),
    "roberta-prelayernorm": (roberta_like, ("RobertaPreLayerNormModel", ROBERTA)),
    "seed-oss": (gpt_like, ("SeedOssForCausalLM", HEADS_OF_8)),
    "siglip-text": (roberta_like, ("SiglipTextModel", BERT)),
    "starcoder2": (gpt_like, ("Starcoder2ForCausalLM", GROUPED | {"use_bias": True, "sliding_window": 6})),
    "vaultgemma": (llama_like, ("VaultGemmaForCausalLM", GEMMA | {"sliding_window": 6})),
    "xglm": (
        llama_like,
        (
            "XGLMForCausalLM",
            {"d_model": 32, "num_layers": 3, "attention_heads": 4, "ffn_dim": 48, "max_position_embeddings": 40},
        ),
    ),
    "xmod": (roberta_like, ("XmodModel", ROBERTA | {"languages": ["en_XX"], "default_language": "en_XX"})),
    "deepseek-v2": (llama_like, ("DeepseekV2Model", LATENT)),
    "deepseek-v3": (llama_like, ("DeepseekV3Model", LATENT)),
    "deepseek-v3.2": (  # a position sees 4 others
        llama_like,
        ("DeepseekV32ForCausalLM", LATENT | {"index_n_heads": 2, "index_head_dim": 8, "index_topk": 4}),
    ),
    "gemma4-text": (
        llama_like,
        (
            "Gemma4TextModel",
            HEADS_OF_8
            | {
                "global_head_dim": 8,
                "hidden_size_per_layer_input": 0,
                "vocab_size_per_layer_input": 0,
                "num_kv_shared_layers": 0,
            },
        ),
    ),
}
