"""Models that are spread out: offloaded by accelerate, compiled by torch, in several files; read as the plain one."""

from __future__ import annotations

import accelerate
import pytest
import torch
import zoo
from transformers import AutoModelForCausalLM

from headscope import ModelError, Scope
from headscope.studies.verify import verify

SPACES = ("value", "output", "key", "unembedding")
CPU = torch.device("cpu")


@pytest.fixture(params=["llama", "gpt2"])
def name(request):
    return request.param


def answers(scope):
    """What a reading and its vocabulary give, of all that is made of weights."""
    reading = scope.read(zoo.TEXT)
    found = [reading.z, reading.pattern, *(reading.nearest(1, 1, space, k=9).distances for space in SPACES)]
    weights = scope.weights(2)
    return [*found, weights.v.weight, weights.w_o, reading.journey().own_cosine]


def whole_on_the_cpu(model, tmp_path):
    return accelerate.cpu_offload(model, execution_device=CPU)


def whole_on_disk(model, tmp_path):
    return accelerate.disk_offload(model, str(tmp_path / "weights"), execution_device=CPU)


def one_block_on_disk(model, tmp_path):
    blocks = next(name for name, m in model.named_modules() if isinstance(m, torch.nn.ModuleList))
    ends = {name: "cpu" for name, _ in model.named_children() if not blocks.startswith(name)}
    beside = blocks.rpartition(".")[0]
    ends |= {f"{beside}.{name}": "cpu" for name, _ in model.get_submodule(beside).named_children()}
    del ends[blocks]
    places = ends | {f"{blocks}.{n}": "disk" if n == 1 else "cpu" for n in range(3)}
    return accelerate.dispatch_model(
        model, places, main_device="cpu", offload_dir=str(tmp_path / "weights"), force_hooks=True
    )


OFFLOADED = [whole_on_the_cpu, whole_on_disk, one_block_on_disk]


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize("offload", OFFLOADED)
def test_an_offloaded_model_is_read_as_the_plain_one_and_left_offloaded(name, tmp_path, offload):
    plain = Scope.from_model(*zoo.build(name))
    model, tokenizer = zoo.build(name)
    model = offload(model, tmp_path)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    away = {key for key, parameter in model.named_parameters() if parameter.is_meta}
    assert away
    scope = Scope.from_model(model, tokenizer)
    for got, expected in zip(answers(scope), answers(plain), strict=True):
        assert torch.allclose(got, expected, rtol=1e-5, atol=1e-6)
    assert scope.card.weights_sha256 == plain.card.weights_sha256
    assert (scope.card.device, scope.card.weights, scope.card.activation_error) == ("cpu", "float32", 0.0)
    assert {key for key, parameter in model.named_parameters() if parameter.is_meta} == away
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids).logits, logits)


def test_every_check_holds_on_an_offloaded_model(name, tmp_path):
    model, tokenizer = zoo.build(name)
    assert verify(Scope.from_model(whole_on_the_cpu(model, tmp_path), tokenizer)).holds


def test_a_weight_that_changes_where_it_is_kept_is_followed(tmp_path):
    model, tokenizer = zoo.build("llama")
    scope = Scope.from_model(whole_on_the_cpu(model, tmp_path), tokenizer)
    before, first = scope.read(zoo.TEXT).nearest(1, 1), scope.card.weights_sha256
    hook = model.model.layers[1].self_attn.v_proj._hf_hook
    hook.weights_map["weight"].mul_(-2)
    after = scope.read(zoo.TEXT).nearest(1, 1)
    assert scope.card.weights_sha256 != first
    assert not torch.allclose(before.distances, after.distances, atol=1e-3)


def test_what_was_never_loaded_is_told():
    model, tokenizer = zoo.build("llama")
    with pytest.raises(ModelError, match="nothing brings them into memory: they were never loaded"):
        Scope.from_model(model.to("meta"), tokenizer)


@pytest.mark.slow
def test_a_checkpoint_of_several_files_spread_by_a_device_map_is_read_as_one(tmp_path):
    model, tokenizer = zoo.build("llama")
    model.save_pretrained(tmp_path / "model", max_shard_size="40KB")
    tokenizer.save_pretrained(tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors.index.json").is_file()
    plain = answers(Scope.from_model(model, tokenizer))
    spread = AutoModelForCausalLM.from_pretrained(
        tmp_path / "model",
        device_map={"model.embed_tokens": "cpu", "model.rotary_emb": "cpu", "model.norm": "cpu", "lm_head": "cpu"}
        | {f"model.layers.{n}": "disk" if n else "cpu" for n in range(3)},
        offload_folder=str(tmp_path / "offloaded"),
    )
    assert any(parameter.is_meta for parameter in spread.parameters())
    for scope in (Scope.from_pretrained(str(tmp_path / "model")), Scope.from_model(spread, tokenizer)):
        for got, expected in zip(answers(scope), plain, strict=True):
            assert torch.allclose(got, expected, rtol=1e-5, atol=1e-6)


def wrapped(model, backend):
    return torch.compile(model, backend=backend)


def in_place(model, backend):
    model.compile(backend=backend)
    return model


def its_forward(model, backend):
    model.forward = torch.compile(model.forward, backend=backend)
    return model


def its_blocks(model, backend):
    for block in next(m for m in model.modules() if isinstance(m, torch.nn.ModuleList)):
        block.compile(backend=backend)
    return model


COMPILED = [wrapped, in_place, its_forward, its_blocks]


@pytest.mark.slow(cases=4)
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("compiled", COMPILED)
def test_a_compiled_model_is_read_as_the_plain_one_and_left_compiled(name, compiled, backend):
    plain = answers(Scope.from_model(*zoo.build(name)))
    model, tokenizer = zoo.build(name)
    made = compiled(model, backend)
    held = {key: dict(module.__dict__) for key, module in model.named_modules()}
    for got, expected in zip(answers(Scope.from_model(made, tokenizer)), plain, strict=True):
        assert torch.equal(got, expected)
    for key, module in model.named_modules():
        assert module.__dict__.keys() == held[key].keys()
        for entry in ("forward", "_compiled_call_impl"):
            assert module.__dict__.get(entry) is held[key].get(entry)


@pytest.mark.long
@pytest.mark.parametrize("compiled", COMPILED)
def test_so_is_one_that_has_run_compiled(compiled):
    model, tokenizer = zoo.build("llama")
    plain = answers(Scope.from_model(*zoo.build("llama")))
    made, ids = compiled(model, "aot_eager"), torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        before = made(input_ids=ids).logits
    for got, expected in zip(answers(Scope.from_model(made, tokenizer)), plain, strict=True):
        assert torch.equal(got, expected)
    with torch.no_grad():
        assert torch.equal(made(input_ids=ids).logits, before)
