"""The arithmetic written out from the models' own modules, in float64: transposes, biases, token types, offsets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

FAMILIES = ["bert", "gpt2", "llama", "roberta"]


@dataclass
class Heads:
    """Views of one layer's value and output weights, per key/value head and per head."""

    w_v: Tensor  # [kv_head, d_head, d_model]
    b_v: Tensor  # [kv_head, d_head]
    w_o: Tensor  # [head, d_head, d_model]
    b_o: Tensor  # [d_model]


def blocks(name: str, model: PreTrainedModel) -> list[torch.nn.Module]:
    return {
        "roberta": lambda: model.roberta.encoder.layer,
        "bert": lambda: model.encoder.layer,
        "gpt2": lambda: model.transformer.h,
        "llama": lambda: model.model.layers,
    }[name]()


def heads(name: str, model: PreTrainedModel, layer: int) -> Heads:
    """Views: writing into them changes the model."""
    config, block = model.config, blocks(name, model)[layer]
    n, d = config.num_attention_heads, config.hidden_size
    if name in ("roberta", "bert"):
        value, out = block.attention.self.value, block.attention.output.dense
        return Heads(value.weight.view(n, -1, d), value.bias.view(n, -1), out.weight.T.unflatten(0, (n, -1)), out.bias)
    if name == "gpt2":  # Conv1D keeps (in, out), and q, k, v side by side
        attention = block.attn
        return Heads(
            attention.c_attn.weight[:, 2 * d :].T.unflatten(0, (n, -1)),
            attention.c_attn.bias[2 * d :].view(n, -1),
            attention.c_proj.weight.view(n, -1, d),
            attention.c_proj.bias,
        )
    attention = block.self_attn
    kv = config.num_key_value_heads
    return Heads(
        attention.v_proj.weight.view(kv, -1, d),
        attention.v_proj.bias.view(kv, -1),
        attention.o_proj.weight.T.unflatten(0, (n, -1)),
        attention.o_proj.bias,
    )


def encodings(name: str, model: PreTrainedModel, layer: int, position: int | None) -> Tensor:
    """R_t of the whole vocabulary at one layer and position: float64 [token, kv_head, d_head]."""
    weights = heads(name, model, layer)
    rows = normalised_input(name, model, layer, position)
    return torch.einsum("td,hed->the", rows, weights.w_v.double()) + weights.b_v.double()


def normalised_input(name: str, model: PreTrainedModel, layer: int, position: int | None) -> Tensor:
    """What the value projection of `layer` gets when its block is fed block 0's input: [token, d_model]."""
    if name in ("roberta", "bert"):
        table = (model.roberta if name == "roberta" else model).embeddings
        offset = 2 if name == "roberta" else 0
        x = table.word_embeddings.weight.double() + table.token_type_embeddings.weight[0].double()
        if position is not None:
            x = x + table.position_embeddings.weight[position + offset].double()
        return layer_norm(x, table.LayerNorm)
    if name == "gpt2":
        x = model.transformer.wte.weight.double()
        if position is not None:
            x = x + model.transformer.wpe.weight[position].double()
        return layer_norm(x, model.transformer.h[layer].ln_1)
    x = model.model.embed_tokens.weight.double()
    norm = model.model.layers[layer].input_layernorm
    return x / (x.square().mean(-1, keepdim=True) + norm.variance_epsilon).sqrt() * norm.weight.double()


def layer_norm(x: Tensor, norm: torch.nn.LayerNorm) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scale = (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt()
    return centred / scale * norm.weight.double() + norm.bias.double()


def z(name: str, model: PreTrainedModel, ids: list[int], layer: int) -> Tensor:
    """Σ_j α_ij v_j from the hidden states that reach `layer`: float64 [position, head, d_head]."""
    config = model.config
    n, d, length = config.num_attention_heads, config.hidden_size, len(ids)
    with torch.no_grad():
        hidden = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0].double()
    block = blocks(name, model)[layer]
    causal = torch.full((length, length), -torch.inf, dtype=torch.float64).triu(1)
    if name in ("roberta", "bert"):
        own = block.attention.self
        q, k, v = (x.double() for x in (linear(hidden, m) for m in (own.query, own.key, own.value)))
        mask = torch.zeros(length, length)
    elif name == "gpt2":
        fused = layer_norm(hidden, block.ln_1) @ block.attn.c_attn.weight.double() + block.attn.c_attn.bias.double()
        q, k, v = fused.split(d, -1)
        mask = causal
    else:
        norm = block.input_layernorm
        x = hidden / (hidden.square().mean(-1, keepdim=True) + norm.variance_epsilon).sqrt() * norm.weight.double()
        own = block.self_attn
        q, k, v = linear(x, own.q_proj), linear(x, own.k_proj), linear(x, own.v_proj)
        mask = causal
    q, k, v = (x.unflatten(-1, (-1, d // n)).transpose(0, 1) for x in (q, k, v))  # (heads, S, d_head)
    if name == "llama":
        q, k = rotate(q, 10000.0), rotate(k, 10000.0)
    k, v = (x.repeat_interleave(n // x.shape[0], 0) for x in (k, v))
    pattern = (q @ k.transpose(1, 2) / (d // n) ** 0.5 + mask).softmax(-1)
    return (pattern @ v).transpose(0, 1)


def linear(x: Tensor, module: torch.nn.Linear) -> Tensor:
    return x @ module.weight.T.double() + module.bias.double()


def rotate(x: Tensor, theta: float) -> Tensor:
    """RoPE: coordinate i and i + d/2 of position p turn by p · theta^(−2i/d)."""
    half = x.shape[-1] // 2
    rate = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * rate
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


def distance(metric: str, z: Tensor, rows: Tensor) -> Tensor:
    """Distances of z [d_head] to rows [token, d_head], by the textbook formula, in float64."""
    z, rows = z.double(), rows.double()
    if metric == "euclidean":
        return (rows - z).norm(dim=-1)
    if metric == "dot":
        return -(rows @ z)
    return 1 - rows @ z / (rows.norm(dim=-1) * z.norm())
