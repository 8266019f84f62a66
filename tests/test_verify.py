"""`headscope models --verify`: a verdict from what was run, and the table of verified architectures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import zoo

from headscope import Scope
from headscope.cli import main
from headscope.verify import Verdict, verify

TABLE = Path(__file__).parents[1] / "docs" / "models.md"
HEAD = """# Verified models

Written by `python -m pytest tests/test_verify.py --write-models` from what the tests ran: for each architecture a tiny
model with random weights, biases and norm gains. `headscope models --verify MODEL` runs the same checks on yours.

- *attention*: "by name", the model's attention is replaced by name; "watched", the model computes its attention itself
  and is watched while it does.
- *encodings*: "closed form", agrees with the model itself on a sample of the vocabulary at every layer.
- *W_Q and W_K*: "not one matrix", q and k are normalised after their projection; `reading.q` and `reading.k` have them.
- *masks*: changing a later token moves earlier outputs under "full", and does not under "causal".

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


@pytest.fixture(scope="module")
def verdicts():
    return {name: verify(Scope.from_model(*zoo.build(name), stack=zoo.stack_of(name))) for name in sorted(zoo.ZOO)}


def test_every_identity_holds_for_every_architecture(verdicts):
    assert [name for name, verdict in verdicts.items() if not verdict.holds] == []


def test_the_table_of_verified_models_is_what_was_run(verdicts, request):
    table = HEAD + "".join(row(name, verdict) + "\n" for name, verdict in verdicts.items())
    if request.config.getoption("--write-models"):
        TABLE.write_text(table)
    assert TABLE.read_text() == table, "write it anew: python -m pytest tests/test_verify.py --write-models"


def test_a_model_whose_encodings_are_not_its_own_fails(build, monkeypatch):
    scope = Scope.from_model(*build("bert"))
    original = scope._opened.feed.vectors
    monkeypatch.setattr(scope._opened.feed, "vectors", lambda *a: original(*a) + 0.1)
    failed = [check.name for check in verify(scope).checks if check.holds is False]
    assert "a text of one token writes its own encoding at layer 0" in failed


def test_a_mask_without_a_hold_fails(build, monkeypatch):
    scope = Scope.from_model(*build("gpt2"))
    run = type(scope._opened).run
    monkeypatch.setattr(
        type(scope._opened), "run", lambda self, texts, mask, contexts=None: run(self, texts, "model", contexts)
    )
    assert [check.name for check in verify(scope).checks if check.holds is False] == ["mask full"]


def test_it_runs_from_the_command_line(tmp_path, capsys):
    directory = str(zoo.save("llama", tmp_path))
    main_exits(["models", "--verify", directory])
    assert "Every identity holds." in capsys.readouterr().out
    main_exits(["models", "--verify", directory, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["holds"]
    assert len(told["checks"]) == 7


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
