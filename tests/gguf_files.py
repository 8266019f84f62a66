"""GGUF files of Llamas as llama.cpp's converter writes them: its names, the order of rotated rows, a BPE vocabulary."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


def write(
    path: Path, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, kind: str, turns: Tensor | None = None
) -> Path:
    """The model and its tokenizer as a GGUF file whose matrices are kept as `kind` (F32, F16, Q8_0, Q4_0).

    `turns`: what each frequency of a stretched rotation is divided by.
    """
    import gguf

    config, writer = model.config, gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    _write_tokenizer(writer, tokenizer)
    if turns is not None:
        writer.add_tensor("rope_freqs.weight", turns.numpy())
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    quantised = gguf.GGMLQuantizationType[kind]
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        module, _, own = name.rpartition(".")
        rotated = next((count for part, count in heads.items() if part in name), None)
        values = (tensor if rotated is None else _in_pairs(tensor, rotated)).float().numpy()
        if values.ndim > 1:
            packed = gguf.quants.quantize(values, quantised)
            writer.add_tensor(f"{names.get_name(module)}.{own}", packed, raw_dtype=quantised)
        else:
            writer.add_tensor(f"{names.get_name(module)}.{own}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def rounded(model: LlamaForCausalLM, kind: str) -> LlamaForCausalLM:
    """The model with its matrices as `kind` keeps them: what is read from a file of it."""
    import gguf

    quantised = gguf.GGMLQuantizationType[kind]
    for parameter in model.parameters():
        if parameter.dim() > 1:
            packed = gguf.quants.quantize(parameter.detach().float().numpy(), quantised)
            parameter.data = torch.from_numpy(gguf.quants.dequantize(packed, quantised).copy())
    return model


def _in_pairs(weight: Tensor, heads: int) -> Tensor:
    """Rows that are rotated together side by side, as llama.cpp has them."""
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)


def _write_tokenizer(writer: object, tokenizer: PreTrainedTokenizerFast) -> None:
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    specials = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([3 if token in specials else 1 for token, _ in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    for part in ("bos", "eos", "unk", "pad"):
        id = getattr(tokenizer, f"{part}_token_id")
        if id is not None:
            getattr(writer, f"add_{part}_token_id")(id)
    writer.add_add_bos_token(bool(tokenizer("")["input_ids"]))
