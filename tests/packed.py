"""Models whose projections keep their weights otherwise than as plain numbers: one builder a kind of quantisation.

The kinds of GPTQ, AWQ and mxfp4 are modules built as theirs are: packed integers, scales and zeros by groups, in
buffers, unpacked in the forward pass. The others are the real ones, where their package is installed.
"""

from __future__ import annotations

import copy
import importlib.util
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import zoo
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

Build = Callable[[PreTrainedModel], PreTrainedModel]
SHAPE = {"hidden_size": 64, "intermediate_size": 64}  # no group of weights is smaller than 32


@dataclass(frozen=True)
class Kind:
    """A kind: how a model is packed, how one of its projections is unpacked, and whether it rounds activations."""

    pack: Build
    unpack: Callable[[Any], Tensor]  # the weight [out, in] of a projection
    rounds: bool = False
    by_batch: bool = False
    needs: str | None = None  # a package


def projections(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    """The linear layers inside a model's blocks, with where they are."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear and name != "lm_head":
                yield module, name, child


def replacing(make: Callable[[nn.Linear], nn.Module]) -> Build:
    """Every projection in the blocks by a module that is made of it."""

    def pack(model: PreTrainedModel) -> PreTrainedModel:
        for module, name, linear in projections(model):
            setattr(module, name, make(linear))
        return model

    return pack


def there(package: str) -> bool:
    """Whether a package is installed; where .ci/packed has brought all of them, an error if it is not."""
    found = importlib.util.find_spec(package) is not None
    if not found and "HEADSCOPE_REQUIRE_PACKERS" in os.environ:
        raise ModuleNotFoundError(f"{package} has to be installed here")
    return found


def need(package: str) -> None:
    """Skip a test without the package that it needs."""
    if not there(package):
        pytest.skip(f"{package} is not installed (.ci/packed runs what needs it)")


def build(kind: Kind, name: str = "llama") -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A tiny random model of the zoo, packed."""
    if kind.needs is not None:
        need(kind.needs)
    model, tokenizer = zoo.build(name, shape=SHAPE)
    return kind.pack(model).eval(), tokenizer


def unpacked(kind: Kind, model: PreTrainedModel, plain: PreTrainedModel) -> PreTrainedModel:
    """The plain model with the weights that the packed one computes with, in float64."""
    twin = copy.deepcopy(plain).double()
    packed = dict(model.named_modules())
    for name, module in twin.named_modules():
        if type(module) is nn.Linear and name != "lm_head":
            module.weight.data = kind.unpack(packed[name]).double()
    return twin


class Gptq(nn.Module):
    """4 bits, eight a word of 32 down the inputs; scales and zeros a group; which group an input is of, by an index."""

    def __init__(self, linear: nn.Linear, group: int = 32) -> None:
        super().__init__()
        w = linear.weight.detach().T  # (in, out)
        index = torch.arange(len(w)) // group
        grouped = w.reshape(-1, group, w.shape[1])
        low, high = grouped.amin(1), grouped.amax(1)
        scales = (high - low) / 15
        zeros = (-low / scales).round().clamp(0, 15)
        q = (w / scales[index] + zeros[index]).round().clamp(0, 15).to(torch.int32)
        shifts = torch.arange(0, 32, 4, dtype=torch.int32)
        self.register_buffer("qweight", (q.reshape(-1, 8, w.shape[1]) << shifts[:, None]).sum(1).to(torch.int32))
        packed_zeros = zeros.to(torch.int32).reshape(len(zeros), -1, 8)
        self.register_buffer("qzeros", (packed_zeros << shifts).sum(-1).to(torch.int32))
        self.register_buffer("scales", scales)
        self.register_buffer("g_idx", index.to(torch.int32))
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach())

    def unpack(self) -> Tensor:
        shifts = torch.arange(0, 32, 4, dtype=torch.int32)
        q = ((self.qweight[:, None] >> shifts[:, None]) & 15).flatten(0, 1)
        zeros = ((self.qzeros[..., None] >> shifts) & 15).flatten(1)
        return ((q - zeros[self.g_idx.long()]) * self.scales[self.g_idx.long()]).T

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.unpack(), self.bias)


class Awq(nn.Module):
    """4 bits, eight a word along the outputs in AWQ's interleaved order."""

    ORDER = (0, 4, 1, 5, 2, 6, 3, 7)

    def __init__(self, linear: nn.Linear, group: int = 32) -> None:
        super().__init__()
        w = linear.weight.detach().T
        grouped = w.reshape(-1, group, w.shape[1])
        scales = grouped.abs().amax(1) / 7
        q = (grouped / scales[:, None] + 8).round().clamp(0, 15).to(torch.int32).flatten(0, 1)
        self.group = group
        self.register_buffer("qweight", self._words(q))
        self.register_buffer("qzeros", self._words(torch.full(scales.shape, 8, dtype=torch.int32)))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach())

    def _words(self, q: Tensor) -> Tensor:
        shifts = 4 * torch.tensor(self.ORDER, dtype=torch.int32)
        return (q.unflatten(1, (-1, 8)) << shifts).sum(-1).to(torch.int32)

    def _numbers(self, words: Tensor) -> Tensor:
        return ((words[..., None] >> 4 * torch.tensor(self.ORDER, dtype=torch.int32)) & 15).flatten(1)

    def unpack(self) -> Tensor:
        q, zeros = self._numbers(self.qweight), self._numbers(self.qzeros)
        wide = [part.repeat_interleave(self.group, 0) for part in (zeros, self.scales)]
        return ((q - wide[0]) * wide[1]).T

    def forward(self, x: Tensor) -> Tensor:
        out = x @ self.unpack().T
        return out if self.bias is None else out + self.bias


class Mxfp4(nn.Module):
    """4-bit floats, two a byte, with an exponent for every 32."""

    VALUES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        blocks = linear.weight.detach().unflatten(1, (-1, 32))
        exponents = torch.log2(blocks.abs().amax(-1) / 6).ceil()
        scaled = blocks / torch.exp2(exponents)[..., None]
        codes = (scaled[..., None] - self._table()).abs().argmin(-1).to(torch.uint8)
        self.blocks = nn.Parameter(codes[..., ::2] | codes[..., 1::2] << 4, requires_grad=False)
        self.scales = nn.Parameter((exponents + 127).to(torch.uint8), requires_grad=False)
        self.bias = linear.bias

    def _table(self) -> Tensor:
        values = torch.tensor(self.VALUES)
        return torch.cat([values, -values])

    def unpack(self) -> Tensor:
        codes = torch.stack([self.blocks & 15, self.blocks >> 4], -1).flatten(-2)
        return (self._table()[codes.long()] * torch.exp2(self.scales.float() - 127)[..., None]).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.unpack(), self.bias)


class Fp8(nn.Module):
    """8-bit floats with a scale for each output."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        scale = linear.weight.detach().abs().amax(1, keepdim=True) / 448
        self.weight = nn.Parameter((linear.weight.detach() / scale).to(torch.float8_e4m3fn), requires_grad=False)
        self.weight_scale = nn.Parameter(scale, requires_grad=False)
        self.bias = linear.bias

    def unpack(self) -> Tensor:
        return self.weight.to(self.weight_scale.dtype) * self.weight_scale

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.unpack(), self.bias)


def by_torch(model: PreTrainedModel) -> PreTrainedModel:
    """torch's own dynamic int8, which rounds activations by the largest of all that come together."""
    return torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)


def by_hqq(linear: nn.Linear) -> nn.Module:
    from hqq.core.quantize import BaseQuantizeConfig, HQQLinear

    config = BaseQuantizeConfig(nbits=4, group_size=64)
    return HQQLinear(linear, config, compute_dtype=linear.weight.dtype, device="cpu")


def by_torchao(name: str) -> Build:
    def pack(model: PreTrainedModel) -> PreTrainedModel:
        import torchao.quantization as torchao

        made = {
            "int8": lambda: torchao.Int8WeightOnlyConfig(),
            "int4": lambda: torchao.IntxWeightOnlyConfig(torch.int4, torchao.granularity.PerGroup(32)),
            "fp8": lambda: torchao.Float8WeightOnlyConfig(),
            "int8 by row": lambda: torchao.Int8DynamicActivationInt8WeightConfig(),
        }
        torchao.quantize_(model, made[name](), lambda module, path: type(module) is nn.Linear and path != "lm_head")
        return model

    return pack


def by_bitsandbytes(bits: int) -> Build:
    def pack(model: PreTrainedModel) -> PreTrainedModel:
        import bitsandbytes as bnb

        def make(linear: nn.Linear) -> nn.Module:
            given = (linear.in_features, linear.out_features, linear.bias is not None)
            if bits == 4:
                made = bnb.nn.Linear4bit(*given, compute_dtype=linear.weight.dtype, quant_type="nf4")
            else:
                made = bnb.nn.Linear8bitLt(*given, has_fp16_weights=False, threshold=6.0)
            made.load_state_dict(linear.state_dict())
            return made.to("cpu")

        return replacing(make)(model)

    return pack


def of_bitsandbytes(module: Any) -> Tensor:
    if hasattr(module, "state"):
        state = module.state
        codes, scales = (module.weight.CB, module.weight.SCB) if state.CB is None else (state.CB, state.SCB)
        return codes * (scales / 127)[:, None]
    import bitsandbytes as bnb

    module.state_dict()  # where a processor has a layout of its own, this lays them out as they were
    return bnb.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)


def own(module: Any) -> Tensor:
    return module.unpack()


KINDS = {
    "gptq": Kind(replacing(Gptq), own),
    "awq": Kind(replacing(Awq), own),
    "mxfp4": Kind(replacing(Mxfp4), own),
    "fp8": Kind(replacing(Fp8), own),
    "torch int8": Kind(by_torch, lambda module: module.weight().dequantize(), rounds=True, by_batch=True),
    "hqq": Kind(replacing(by_hqq), lambda module: module.dequantize(), needs="hqq"),
    "torchao int8": Kind(by_torchao("int8"), lambda module: module.weight.dequantize(), needs="torchao"),
    "torchao int4": Kind(by_torchao("int4"), lambda module: module.weight.dequantize(), needs="torchao"),
    "torchao fp8": Kind(by_torchao("fp8"), lambda module: module.weight.dequantize(), needs="torchao"),
    "torchao int8 by row": Kind(
        by_torchao("int8 by row"), lambda module: module.weight.dequantize(), rounds=True, needs="torchao"
    ),
    # Of 4 bits some processors make products in bfloat16, others as they are.
    "bitsandbytes 4bit": Kind(by_bitsandbytes(4), of_bitsandbytes, rounds=True, needs="bitsandbytes"),
    "bitsandbytes 8bit": Kind(by_bitsandbytes(8), of_bitsandbytes, rounds=True, by_batch=True, needs="bitsandbytes"),
}
