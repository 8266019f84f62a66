"""What the output loses without a head, against the model with the head put out."""

from __future__ import annotations

import pytest
import torch
import zoo

from headscope.model.capture.runner import Runner
from headscope.show.numbers import distance


def run(model, ids):
    """What the model makes of one text."""
    with torch.no_grad():
        return model(torch.tensor([ids]))


def edited_by_hand(scope, ids, layer, head, replacement):
    """The model's output with the columns of one head set before its output projection."""
    d = scope.card.d_head

    def change(module, args):
        joined = args[0].clone()
        joined[..., head * d : (head + 1) * d] = replacement
        return (joined, *args[1:])

    opened = scope.bench.opened
    hook = opened.anatomy.blocks[layer].output.register_forward_pre_hook(change)
    output = run(opened.model, ids)
    hook.remove()
    return output


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "bloom"])
def test_effects_are_those_of_the_model_with_the_head_put_out(name, scope, reading):
    found, token = reading.effects(4), reading.tokens[4]
    ids = [t.id for t in reading.tokens]
    before, after = run(scope.bench.opened.model, ids), edited_by_hand(scope, ids, 1, 2, 0.0)
    if name == "bert":
        f, g = before[0][0, 4], after[0][0, 4]
        assert float(found.moved[1, 2]) == pytest.approx(float((g - f).norm() / f.norm()), rel=1e-3)
        assert found.kl is None
        assert found.own_logit is None
        return
    p, q = (out.logits[0, 4].double().log_softmax(-1) for out in (before, after))
    assert float(found.kl[1, 2]) == pytest.approx(float((p.exp() * (p - q)).sum()), rel=1e-3, abs=1e-7)
    gained = float(after.logits[0, 4, token.id] - before.logits[0, 4, token.id])
    assert float(found.own_logit[1, 2]) == pytest.approx(gained, rel=1e-3, abs=1e-5)


def test_effects_take_as_many_runs_as_there_are_heads_and_one(scope_of, monkeypatch):
    scope = scope_of("gpt2")
    reading, texts = scope.read(zoo.TEXT), []
    original = Runner.run
    monkeypatch.setattr(
        Runner, "run", lambda self, given, *rest: texts.append(len(given)) or original(self, given, *rest)
    )
    reading.effects(2)
    assert sum(texts) == scope.card.layers * scope.card.heads + 1
    assert len(texts) == 1


def test_what_only_a_language_model_tells_is_there_where_there_is_one(scope_of):
    without, found = (scope_of(name).read(zoo.TEXT).effects(2, "mean") for name in ("bert", "gpt2"))
    assert "no language-model head" in without.notes[0]
    assert found.notes == ()
    assert [sheet.name for sheet in without.sheets()] == ["moved"]
    assert [sheet.name for sheet in found.sheets()] == ["moved", "kl", "own_logit"]
    for sheet in found.sheets():
        assert f"at 2 {found.token.label}" in sheet.caption
        assert sheet.caption.endswith("when a head's z is replaced by its mean over the text")
    assert found.sheets()[1].rows[1].cells[2].number == distance(float(found.kl[1, 2]))
    assert len(found.to_pandas()) == found.moved.numel()
