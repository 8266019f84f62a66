"""Journeys among tokens read alone: exact ranks against brute force, and streams that are kept on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
import zoo

from headscope import Scope
from headscope.errors import InputError
from headscope.keep import tensors
from headscope.model.feed.alone import frame_of, streams_alone

FAMILIES = ["bert", "gpt2", "llama", "gemma2", "albert", "roberta", "granite", "bart/encoder", "t5/decoder"]


@pytest.fixture(autouse=True)
def _small_shards(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    monkeypatch.setattr(tensors, "STEP", 64)


def anew(of: str) -> Scope:
    """A scope that shares nothing with others; the zoo's biases and gains are random, so none hides."""
    return Scope.from_model(*zoo.build(of), stack=zoo.stack_of(of))


def texts_of_one_token(scope: Scope) -> tuple[list[list[int]], int]:
    """Every token in the frame that a reading of a text has, and where it stands there."""
    added = scope.read("e").tokens
    special = [token.id for token in added if token.special]
    place = next(token.position for token in added if not token.special)
    return [[*special[:place], id, *special[place:]] for id in range(scope.card.vocab_size)], place


def ends(scope: Scope, texts: list[list[int]], place: int) -> torch.Tensor:
    """The stream at the ends of the layers by hooks on the blocks alone: float64 [layer + 1, token, d_model]."""
    kept: list[torch.Tensor] = []

    def first(_, args, kwargs):
        kept.append(next(x for x in (*args, *kwargs.values()) if torch.is_tensor(x) and x.is_floating_point()))

    def later(_, args, output):
        kept.append(output[0] if isinstance(output, tuple) else output)

    blocks, model = scope.bench.opened.anatomy.blocks, scope.bench.opened.model
    options = {}
    if scope.bench.opened.stack.encoder is not None:
        read = torch.tensor([text[1:] for text in texts])  # the start token is the decoder's alone
        options["encoder_hidden_states"] = scope.bench.opened.stack.encoder(input_ids=read)[0]
    # A model that shares its weights calls one module for every block.
    modules = {id(block.module): block.module for block in blocks}.values()
    hooks = [module.register_forward_hook(later) for module in modules]
    once = blocks[0].module.register_forward_pre_hook(lambda *given: once.remove() or first(*given), with_kwargs=True)
    with torch.no_grad():
        model(input_ids=torch.tensor(texts), **options)
    for hook in hooks:
        hook.remove()
    return torch.stack([one[:, place] for one in kept]).double()


@pytest.mark.parametrize("of", FAMILIES)
def test_ranks_are_those_of_brute_force_among_every_token_read_alone(of):
    scope = anew(of)
    reading = scope.read(zoo.TEXT)
    found = reading.journey(isolated=True)
    vocabulary = ends(scope, *texts_of_one_token(scope))  # (layer + 1, token, d_model)
    alone = streams_alone(scope.bench.opened, torch.arange(scope.card.vocab_size), frame_of(scope.bench.opened))[:, 0]
    assert torch.allclose(alone[0::2].double(), vocabulary, atol=1e-4, rtol=1e-4)
    assert found.isolated_rank.shape == (2 * scope.card.layers + 1, len(reading.tokens))
    residual = reading.residual.double()  # (layer + 1, position, d_model)
    for layer in range(scope.card.layers + 1):
        cosine = torch.nn.functional.cosine_similarity(residual[layer][:, None], vocabulary[layer][None], dim=-1)
        for n, token in enumerate(reading.tokens):
            own, rank = cosine[n, token.id], int(found.isolated_rank[2 * layer, n])
            # The vocabulary was run in other batches: what is as near as float32 can tell may stand on either side.
            certain, possible = (int((cosine[n] > own + slack).sum()) for slack in (1e-5, -1e-5))
            assert 1 + certain <= rank <= max(1, possible)


@pytest.mark.parametrize("of", ["bert", "gpt2", "llama", "gemma2", "albert", "granite"])
def test_ranks_at_every_stage_are_exact_on_what_is_kept(of):
    scope = anew(of)
    reading = scope.read(zoo.TEXT)
    found = reading.journey(isolated=True)
    for n, stages in enumerate(reading.stages):
        for stage, stream in ((2 * n + 1, stages.middle[0]), (2 * n + 2, stages.after[0])):
            table = scope.bench.vocabulary.isolated_stream(stage).rows[0].double()
            unit = stream.double() / stream.double().norm(dim=-1, keepdim=True)
            cosine = unit @ (table / table.norm(dim=-1, keepdim=True)).T
            own = cosine.gather(1, torch.tensor([[token.id] for token in reading.tokens]))
            for rank, here, mine in zip(found.isolated_rank[stage].tolist(), cosine, own, strict=True):
                # Rounding of this sum, in another order than the kernel's.
                assert 1 + int((here > mine + 1e-14).sum()) <= rank <= 1 + int((here > mine - 1e-14).sum())


@pytest.mark.parametrize("of", ["bert", "gpt2", "llama", "granite"])
def test_the_stream_after_attention_is_the_one_that_the_text_alone_has(of):
    scope = anew(of)
    alone = streams_alone(scope.bench.opened, torch.arange(scope.card.vocab_size), frame_of(scope.bench.opened))[:, 0]
    for text in ("e", "a"):
        reading = scope.read(text)
        (own,) = (token for token in reading.tokens if not token.special)
        for layer, stages in enumerate(reading.stages):
            assert torch.allclose(alone[2 * layer + 1, own.id], stages.middle[0, own.position], atol=1e-4)


@pytest.mark.parametrize("of", ["gpt2", "llama", "bert"])
def test_a_token_that_is_alone_is_the_nearest_to_itself_at_every_stage(of):
    reading = anew(of).read("e")
    found = reading.journey(isolated=True)
    (place,) = (token.position for token in reading.tokens if not token.special)
    assert set(found.isolated_rank[:, place].tolist()) == {1}
    assert torch.allclose(found.isolated_cosine[:, place], torch.ones(len(found.stages)), atol=1e-5)


def test_it_is_not_made_unless_it_is_asked_for_and_says_how(tmp_path):
    scope = anew("gpt2")
    found = scope.read(zoo.TEXT).journey()
    assert found.isolated_rank is None
    assert not (tmp_path / "isolated-streams").exists()
    (said,) = (note for note in found.notes if "was not asked for" in note)
    assert f"{scope.card.vocab_size:,} tokens" in said
    assert "--isolated" in said
    assert "journey(isolated=True)" in said
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert {token["isolated_rank"] for token in told["tokens"]} == {None}


def test_it_is_shown_and_told_where_it_was_asked_for():
    found = anew("gpt2").read(zoo.TEXT).journey(isolated=True)
    assert "among the vocabulary read alone" in repr(found)
    assert not any("was not asked for" in note for note in found.notes)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [token["isolated_rank"] for token in told["tokens"]] == found.isolated_rank.T.tolist()
    rows = found.to_pandas()
    assert rows[rows.position == 2].isolated_rank.tolist() == found.isolated_rank[:, 2].tolist()


def test_streams_are_kept_beside_the_values_and_found_again(tmp_path):
    scope = anew("llama")
    made = scope.isolate(what="streams")
    layers, tokens, width = scope.card.layers, scope.card.vocab_size, scope.card.d_model
    assert made.bytes == 4 * (2 * layers + 1) * tokens * width
    assert Path(made.directory).parent == tmp_path / "isolated-streams"
    assert not (tmp_path / "isolated").exists()
    expected = scope.read(zoo.TEXT).journey(isolated=True).isolated_rank
    told = []
    again = anew("llama")
    again.isolate(lambda done, total: told.append((done, total)), what="streams")
    assert told == [(tokens, tokens)]
    assert torch.equal(again.read(zoo.TEXT).journey(isolated=True).isolated_rank, expected)


def test_a_shard_that_is_damaged_or_missing_is_made_again():
    scope = anew("gpt2")
    expected = scope.read(zoo.TEXT).journey(isolated=True).isolated_rank
    first, second, *_ = sorted(Path(scope.isolate(what="streams").directory).glob("0*"))
    with first.open("r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"\xff\xff\xff")
    second.unlink()
    assert torch.equal(anew("gpt2").read(zoo.TEXT).journey(isolated=True).isolated_rank, expected)


def test_what_was_read_before_an_interruption_stays():
    scope = anew("gpt2")

    def stop(done: int, total: int) -> None:
        if done >= 128:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scope.isolate(stop, "streams")
    told = []
    anew("gpt2").isolate(lambda done, total: told.append(done), "streams")
    assert told[0] == 128
    assert told[-1] == scope.card.vocab_size


def test_a_token_whose_stream_is_not_finite_is_nobodys_neighbour_and_spoils_no_other():
    model, tokenizer = zoo.build("granite")
    for layer in model.model.layers:
        layer.residual_multiplier = 0.25  # which is told by the values of a whole pass
    whole = Scope.from_model(model, tokenizer)
    ids = torch.arange(whole.card.vocab_size)
    expected = streams_alone(whole.bench.opened, ids, frame_of(whole.bench.opened))
    text = whole.read(zoo.TEXT)
    lost = next(id for id in range(5, 200) if id not in {token.id for token in text.tokens})
    with torch.no_grad():
        model.get_input_embeddings().weight[lost] = torch.nan
    scope = Scope.from_model(model, tokenizer)
    found = streams_alone(scope.bench.opened, ids, frame_of(scope.bench.opened))
    assert found[:, 0, lost].isnan().all()
    others = ids != lost
    assert torch.allclose(found[:, :, others], expected[:, :, others], atol=1e-5)
    ranks = scope.read(zoo.TEXT).journey(isolated=True).isolated_rank
    assert int(ranks.min()) >= 1
    assert int(ranks.max()) < scope.card.vocab_size


@pytest.mark.slow
def test_what_the_runs_of_one_token_do_not_share_with_the_text_is_said():
    masked = anew("bert").read(zoo.TEXT, "causal").journey(isolated=True).notes
    assert any("under the model's own" in note for note in masked)
    decoder = anew("t5/decoder").read(zoo.TEXT).journey(isolated=True).notes
    assert any("the encoder read that token too" in note for note in decoder)
    assert any("whose encoder reads this text" in note for note in decoder)


def test_there_is_nothing_else_to_isolate():
    with pytest.raises(InputError, match="values, streams"):
        anew("gpt2").isolate(what="keys")
