"""`headscope models --verify`: a verdict from what was run, and the table of verified architectures."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
import zoo

from headscope import Scope
from headscope.commands.cli import main
from headscope.neighbors import Table
from headscope.studies.verify import Verdict, verify
from headscope.vocabulary.closed_form import ClosedForm

TABLE = Path(__file__).parents[2] / "docs" / "models.md"
WRITE = "write it anew: python -m pytest tests/studies/test_verify.py --write-models"
HEAD = """# Verified models

Written by `python -m pytest tests/studies/test_verify.py --write-models` from what the tests ran: for each
architecture a tiny model with random weights, biases and norm gains. `headscope models --verify MODEL` runs the same
checks on yours.

- *attention*: "by name", the model's attention is replaced by name; "watched", the model computes its attention itself
  and is watched while it does.
- *encodings*: "closed form", agrees with the model itself on a sample of the vocabulary at every layer.
- *W_Q and W_K*: "not one matrix", q and k (or v) are normalised on their way; `reading.q`, `.k` and `.v` have them.
- *masks*: changing a later token moves earlier outputs under "full", and does not under "causal".

## Quantised, offloaded, compiled

A projection is measured as a function, whatever holds its weights. `tests/model/test_packed.py` runs every identity
on modules built like those of GPTQ, AWQ, mxfp4 and 8-bit floats, on torch's dynamic int8, and, where they are
installed, on HQQ, torchao (int8, int4, 8-bit floats, int8 with int8 activations) and bitsandbytes (4 and 8 bit);
`tests/model/test_packed_checkpoints.py` on directories of bitsandbytes and torchao, on `quantize="4bit"` and `"8bit"`,
and on 8-bit floats and mxfp4 that transformers unpacks where there is no GPU, and on real compressed-tensors, which are
unpacked when they are loaded. `.ci/packed` brings HQQ, torchao and bitsandbytes, and there nothing is left out.
Directories of GPTQ and AWQ are opened by gptqmodel, whose release 7.7 asks for torch 2.14; with it they have not been
tried. GGUF files (`tests/model/test_gguf.py`) are
unpacked. The card says what the weights are kept as, in how many bits, and what is done to activations. Kinds that
keep activations as they are give the readings of the unpacked model. Others round them: by how much is measured on a
probe (how far a projection misses the sum of its answers to two parts of its input), stands on the card as
`activation_error`, and twice that is what an identity may miss. W_O, W_V and the vocabulary are those of the weights
without that rounding. Where a text is rounded by what else is in its batch (torch's dynamic int8, bitsandbytes' 8
bit), every text is run by itself, and so is every token that is read alone.

Models that accelerate offloads to memory or disk, and models compiled in any of torch's ways (which run as they are
written while they are read), give the readings of the plain model and are left as they were
(`tests/model/test_spread.py`). Models on several GPUs have not been tried.

## Adapters

PEFT adapters that change weights (LoRA and its kin, trained tokens, modules trained whole) are read on their base, also
where it has another head than the one that they were trained with: a classifier's own weights stand on top of what is
read. A tokenizer that was saved with an adapter is the one that texts are read with, and the base gets as many
embeddings as the adapter was trained with (`tests/model/test_adapter_tokenizers.py`,
`tests/model/test_adapter_directories.py`). Adapters that put vectors before the text, or beside it (Llama-Adapter), are
refused.

## Not read

CANINE makes each character's embedding by hashing its code point into several small tables. So there is no table with a
row for each token, and no vocabulary that an output could be compared with: it is refused in a sentence.

So are the others that `tests/model/test_refusals.py` tries: layers without attention heads between the others (Jamba,
RecurrentGemma), beside them (Falcon-H1) or nothing but such (Mamba, RWKV, FNet); several streams side by side
(DeepSeek-V4) or narrower ones inside the layers (MobileBERT); a norm or a gate between the heads and W_O (BitNet);
layers that mix the values of another (Gemma 4 where it shares them); attention that is no softmax between two products
(XLNet, Funnel, Longformer); positions that no module returns (CTRL), and positions of a model's own before the text
(CPM-Ant); an encoder and a decoder that cannot be run by themselves (FSMT), and a decoder whose encoder hears
(Speech2Text).

PaliGemma reads a text without an image from both sides with the attention that transformers gives it (`sdpa`), and from
left to right with `eager`, which is what would be watched. What a model computes while it is watched is compared with
what it computes by itself on a probe, with the attention that it came with; PaliGemma is refused for it, and opens if
it is loaded with `attn_implementation="eager"`.

## Versions

The table is of transformers 5.23. The oldest one that headscope installs with is transformers 5.0: there `.ci/oldest`
runs the same architectures, as far as that version has them, through the same checks of their readings, and every way
of giving what is read. With transformers 5.0 the decoder of T5 is refused in a sentence (its encoder is read), and so
are Gemma 2 (its `sdpa` leaves the soft cap out; loaded with `attn_implementation="eager"` it opens) and the mask "full"
of Falcon with ALiBi. What that version itself does otherwise stays as it is: where RoBERTa's positions go on behind
padding in a text, say.
Not tested: the versions between the two, later ones, and Python other than the one that the tests run with (3.10 is the
oldest that the code is written for).

## Architectures

| architecture | attention | encodings | W_Q and W_K | masks | verdict |
|---|---|---|---|---|---|
"""


def row(name: str, verdict: Verdict) -> str:
    found = {check.name: check for check in verdict.checks}
    encodings, projections = (
        found[check].found for check in ("vocabulary encodings agree with the model", "projections per head")
    )
    matrices = "found" if "W_Q, W_K, W_V and W_O found" in projections else "not one matrix"
    masks = [mask for mask in ("full", "causal") if found[f"mask {mask}"].holds]
    cells = [
        name,
        verdict.capture,
        "closed form" if encodings.startswith("closed form") else "model",
        matrices,
        " and ".join(masks),
        "all hold" if verdict.holds else "FAILS",
    ]
    return "| " + " | ".join(cells) + " |"


@cache
def verdict_of(name: str) -> Verdict:
    return verify(Scope.from_model(*zoo.build(name), stack=zoo.stack_of(name)))


def test_the_table_has_a_row_for_every_architecture(request):
    if request.config.getoption("--write-models"):
        TABLE.write_text(HEAD + "".join(row(name, verdict_of(name)) + "\n" for name in sorted(zoo.ZOO)))
    table = TABLE.read_text()
    assert table.startswith(HEAD)
    named = [line.split(" | ")[0].removeprefix("| ") for line in table.removeprefix(HEAD).splitlines()]
    assert named == sorted(zoo.ZOO), WRITE


def test_every_identity_holds_and_the_table_says_what_was_run(name):
    assert verdict_of(name).holds
    assert row(name, verdict_of(name)) in TABLE.read_text().splitlines(), WRITE


@pytest.mark.parametrize(("most", "holds"), [(8, True), (6, None)])
def test_texts_that_are_not_padded_to_one_length_are_not_held_to_it(most, holds):
    """Longer texts are turned by other angles, the padding counted: they are read in batches of their own."""
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
    shape = {"original_max_position_embeddings": most, "rope_parameters": rope}
    verdict = verify(Scope.from_model(*zoo.build("phi3", shape=shape)))
    assert {check.name: check.holds for check in verdict.checks}["padded batches equal single texts"] is holds
    assert verdict.holds


def projection_that_returns_more(scope, monkeypatch):
    output = scope.bench.opened.anatomy.blocks[1].output
    output.register_forward_hook(lambda module, args, returned: returned + 0.1)


def encodings_that_are_not_the_model_s(scope, monkeypatch):
    original = scope.bench.opened.feed.vectors
    monkeypatch.setattr(scope.bench.opened.feed, "vectors", lambda *given: original(*given) + 0.1)


def table_that_is_not_the_closed_form(scope, monkeypatch):
    pack = ClosedForm.pack

    def off(form):
        table = pack(form)
        return Table.pack(1.01 * table.rows, table.bias)

    monkeypatch.setattr(ClosedForm, "pack", off)


def values_that_are_clipped(scope, monkeypatch):
    original = scope.bench.opened.feed.projected
    monkeypatch.setattr(scope.bench.opened.feed, "projected", lambda *given: original(*given).clamp(-0.01, 0.01))


def masks_that_nobody_heeds(scope, monkeypatch):
    kind = type(scope.bench.opened)
    together = kind._together

    def unheeded(self, texts, **named):
        return together(self, [replace(text, mask="model") for text in texts], **named)

    monkeypatch.setattr(kind, "_together", unheeded)


def texts_that_see_their_batch(scope, monkeypatch):
    first = scope.bench.opened.anatomy.blocks[0].module
    first.register_forward_pre_hook(lambda module, given: (given[0] + 0.1 * (given[0] - given[0].mean(0)), *given[1:]))


FAULTS = [
    ("z = Σ α v, and Σ z W_O + b_O is what the projection returns", "bert", projection_that_returns_more),
    ("a text of one token writes its own encoding at layer 0", "bert", encodings_that_are_not_the_model_s),
    ("vocabulary encodings agree with the model", "gpt2", table_that_is_not_the_closed_form),
    ("vocabulary encodings agree with the model", "llama", table_that_is_not_the_closed_form),
    ("projections per head", "llama", values_that_are_clipped),
    ("mask full", "gpt2", masks_that_nobody_heeds),
    ("mask causal", "bert", masks_that_nobody_heeds),
    ("padded batches equal single texts", "bert", texts_that_see_their_batch),
]


@pytest.mark.parametrize(("line", "model", "fault"), FAULTS)
def test_a_line_fails_where_its_identity_is_broken(build, monkeypatch, line, model, fault):
    scope = Scope.from_model(*build(model))
    for mask in ("full", "causal"):
        scope.read(zoo.TEXT, mask=mask)  # it was proved then; a verdict does not rest on that
    assert {check.name: check.holds for check in verify(scope).checks}[line]
    scope = Scope.from_model(*build(model))
    scope.bench.opened.prove_mask("full")
    scope.bench.opened.prove_mask("causal")
    fault(scope, monkeypatch)
    verdict = verify(scope)
    assert {check.name: check.holds for check in verdict.checks}[line] is False
    assert not verdict.holds


def test_values_normalised_in_one_layer_excuse_no_other(build, monkeypatch):
    scope = Scope.from_model(*build("deepseek-v3"))
    feed, last = scope.bench.opened.feed, scope.card.layers - 1
    original = feed.projected

    def clipped(rows, layer, *rest):
        found = original(rows, layer, *rest)
        return found.clamp(-0.01, 0.01) if layer == last else found

    monkeypatch.setattr(feed, "projected", clipped)
    checks = {check.name: check for check in verify(scope).checks}
    assert checks["projections per head"].holds is False
    assert f"at layer {last}" in checks["projections per head"].found


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_proves_the_norm_as_exactly(build, dtype):
    model, tokenizer = build("deepseek-v3")
    checks = {check.name: check for check in verify(Scope.from_model(model.to(dtype), tokenizer)).checks}
    assert checks["projections per head"].holds is None


def test_every_line_has_a_fault_that_it_finds(build):
    assert {check.name for check in verify(Scope.from_model(*build("bert"))).checks} == {line for line, _, _ in FAULTS}


@pytest.mark.slow
def test_it_runs_from_the_command_line(tmp_path, capsys):
    directory = str(zoo.save("llama", tmp_path))
    main_exits(["models", "--verify", directory])
    assert "Every identity holds." in capsys.readouterr().out
    main_exits(["models", "--verify", directory, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["holds"]
    assert len(told["checks"]) == 7


@pytest.mark.slow
def test_real_weights_hold(demo, stories):
    assert verify(demo).holds
    assert verify(stories).holds


def test_half_precision_is_held_to_its_own_arithmetic(build):
    model, tokenizer = build("roberta")
    assert verify(Scope.from_model(model.to(torch.bfloat16), tokenizer)).holds


def main_exits(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as leave:
        main(arguments)
    assert not leave.value.code
