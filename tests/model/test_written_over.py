"""Models that write over what they computed: everything captured is what it was when it was used."""

from __future__ import annotations

import pytest
import torch
import zoo

from headscope import ModelError, Scope


@pytest.fixture(params=["bert", "gpt2"])
def opened(request):
    model, tokenizer = zoo.build(request.param)
    return model, tokenizer, Scope.from_model(model, tokenizer).read(zoo.TEXT)


def named(model, *endings):
    return [module for name, module in model.named_modules() if name.endswith(endings)]


def projections(model):
    return named(model, "attention.output.dense", "attn.c_proj")


def what_comes_next(model):
    """The modules that get what an output projection returned."""
    return named(model, "attention.output.dropout", "resid_dropout")


def test_z_that_is_overwritten_once_the_projection_has_read_it_stays_what_it_was(opened):
    model, tokenizer, expected = opened
    read = []

    def keep(module, given):
        read.append(given[0])

    def overwrite(module, given):
        read[-1].fill_(7)

    for module in projections(model):
        module.register_forward_pre_hook(keep)
    for module in what_comes_next(model):
        module.register_forward_pre_hook(overwrite)
    reading = Scope.from_model(model, tokenizer).read(zoo.TEXT)
    for part in ("z", "q", "k", "v", "pattern"):
        assert torch.equal(getattr(reading, part), getattr(expected, part)), part


def test_what_a_projection_returned_may_be_added_to_in_place(opened):
    """As in `hidden += residual`: the identity Σ z W_O + b_O is proved on what the projection returned."""
    model, tokenizer, expected = opened

    def add(module, given):
        given[0].add_(0.5)

    for module in what_comes_next(model):
        module.register_forward_pre_hook(add)
    scope = Scope.from_model(model, tokenizer)
    assert scope.card.capture_error < 1e-5
    assert torch.equal(scope.read(zoo.TEXT).z[0], expected.z[0])


def test_a_z_that_is_changed_in_place_before_the_projection_is_told(opened):
    model, tokenizer, _ = opened

    def halve(module, given):
        given[0].mul_(0.5)

    for module in projections(model):
        module.register_forward_pre_hook(halve)
    with pytest.raises(ModelError, match="W_O was not found"):
        Scope.from_model(model, tokenizer)
