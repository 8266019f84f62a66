"""Where a token stands is what the model did there: at layer 0 its own v, k and q are its vocabulary encoding."""

from __future__ import annotations

from functools import cache

import pytest
import torch
import transformers
import zoo
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope import InputError, ModelError, Scope

WORDS = "time flies like an arrow and fruit flies like a banana in the sea "
SPACES = {"v": "value", "k": "key", "q": "query"}


def missed(reading, parts="vkq"):
    """How far the own v, k and q at layer 0 are from the own token's encoding: the largest, relative to their length.

    An own encoding that is not finite (ESM's mask token) is none.
    """
    worst = 0.0
    for part in parts:
        everyone = list(range(len(reading.tokens)))
        near = reading.nearest(everyone, 0, SPACES[part], vector=part, metric="euclidean", k=1)
        lengths = reading.vectors(part, 0).norm(dim=-1).amax(-1)  # (position,)
        known = near.own_rank[:, 0] > 0
        worst = max(worst, float((near.own_distance.amax(-1) / lengths)[known].max()))
    return worst


def opened(config_class, model_class, tokenizer, **options):
    config = config_class(vocab_size=len(tokenizer), **(zoo.DECODER | {"pad_token_id": 1} | options))
    return zoo.randomise(model_class(config))


def words(count, tokenizer):
    """A text of so many tokens."""
    ids = tokenizer(WORDS * 9, add_special_tokens=False)["input_ids"]
    for length in range(count, 0, -1):
        text = tokenizer.decode(ids[:length])
        if len(tokenizer(text)["input_ids"]) == count:
            return text
    raise AssertionError(count)


@pytest.mark.slow(cases=12)
def test_a_token_is_its_own_encoding_with_padding_written_in_the_text(name, scope):
    pad = zoo.ZOO[name][0]().pad_token
    reading = scope.read(f"Time flies {pad} like an {pad}{pad} arrow.")
    assert sum(token.text == pad for token in reading.tokens) >= 3
    assert missed(reading) < 2e-5


def test_a_token_is_its_own_encoding_in_padded_batches(name, scope):
    pad = zoo.ZOO[name][0]().pad_token
    texts = [zoo.TEXT, "A bird.", f"{pad} the early {pad} bird", "Time flies like an arrow."]
    for reading in scope.read_many(texts):
        assert missed(reading, "vk") < 2e-5
        alone = scope.read(reading.text)
        assert alone.spots == reading.spots


def test_keys_turn_where_a_models_own_index_has_no_place_for_a_token_alone(scope_of):
    """MiniMax M3 looks for its blocks of keys at the place that it is told, which no text of one token has."""
    reading = scope_of("minimax-m3").read(zoo.TEXT)
    assert len(reading.tokens) > 2 * 2  # blocks are of 2
    assert missed(reading) < 2e-5


@pytest.mark.parametrize("of", ["marian/encoder", "marian/decoder"])
def test_a_table_of_sines_is_returned_once_for_all_texts_of_a_batch(scope_of, of):
    for reading in scope_of(of).read_many([zoo.TEXT, "A bird."]):
        assert missed(reading) < 2e-5


@pytest.mark.parametrize("name", ["roberta", "camembert", "mpnet"])
def test_padding_in_the_text_moves_what_comes_after_it_in_a_roberta(scope_of, name):
    scope = scope_of(name)
    plain, moved = scope.read("Time flies like"), scope.read("Time<pad> flies like")
    at = next(token.position for token in moved.tokens if token.text == "<pad>")
    assert moved.spots[:at] == plain.spots[:at]
    assert moved.spots[at + 1 :] == plain.spots[at:]
    assert moved.spots[at] not in plain.spots


@pytest.mark.parametrize("name", ["roberta", "mpnet", "gpt2", "llama"])
def test_every_answer_encodes_the_vocabulary_where_the_model_put_it(scope_of, name):
    scope = scope_of(name)
    reading = scope.read("the early <pad> bird catches")
    journey = reading.journey(k=3)
    assert torch.allclose(journey.own_cosine[0], torch.ones(len(reading.tokens)), atol=1e-5)
    assert journey.own_rank[0].tolist() == [1] * len(reading.tokens)
    token = len(reading.tokens) - 2
    near = reading.nearest(token, 0, metric="euclidean", vector="v", k=3)
    v = scope.bench.opened.feed.vectors(torch.arange(scope.card.vocab_size), 0, reading.spots[token].rows)
    expected = (v[:, 0].double() - reading.v[0, token, 0].double()).norm(dim=-1).sort().values[:3]
    assert torch.allclose(near.distances[0].double(), expected, atol=1e-4)
    asked = reading.nearest(token, 0, "value", "layer", "dot", k=3)
    worked = reading.work_out(asked, 0, int(asked.ids[0, 0]))
    assert worked.distance == pytest.approx(float(asked.distances[0, 0]), rel=1e-5, abs=1e-5)
    assert float(reading.why(asked, 0, int(asked.ids[0, 0])).shares.sum()) == pytest.approx(-worked.distance, rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(["<pad>", " time", " flies", "<mask>", " like", "</s>", " a"]), min_size=1, max_size=20)
)
def test_a_token_is_its_own_encoding_whatever_stands_around_it(words):
    reading = roberta().read("".join(words))
    assert missed(reading, "v") < 2e-5


@cache
def roberta():
    return Scope.from_model(*zoo.build("roberta"))


LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [1.5, 2.0, 3.0, 4.0],
    "original_max_position_embeddings": 12,
    "factor": 4.0,
}


@pytest.fixture(scope="module")
def longrope():
    tokenizer = zoo.llama_like()
    options = {"rope_parameters": LONGROPE, "num_key_value_heads": 2}
    return Scope.from_model(
        opened(transformers.LlamaConfig, transformers.LlamaForCausalLM, tokenizer, **options), tokenizer
    )


@pytest.mark.parametrize("count", [11, 12, 13, 30])
def test_longrope_turns_a_text_by_its_length(longrope, count):
    reading = longrope.read(words(count, longrope.bench.opened.names.tokenizer))
    assert len(reading.tokens) == count
    assert missed(reading) < 1e-5


def test_longrope_turns_a_text_in_a_batch_as_it_does_alone(longrope):
    texts = [words(count, longrope.bench.opened.names.tokenizer) for count in (8, 30, 13, 8, 10, 30)]
    for text, reading in zip(texts, longrope.read_many(texts), strict=True):
        assert missed(reading, "k") < 1e-5
        alone = longrope.read(text)
        assert reading.spots == alone.spots
        assert torch.allclose(reading.z, alone.z, atol=2e-5)


@pytest.mark.slow
def test_dynamic_ntk_turns_a_text_by_its_length():
    tokenizer = zoo.llama_like()
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 12}
    model = opened(
        transformers.LlamaConfig,
        transformers.LlamaForCausalLM,
        tokenizer,
        rope_parameters=rope,
        max_position_embeddings=12,
    )
    model.config.max_position_embeddings = 40  # longer texts than it was trained on, as the method is for
    scope = Scope.from_model(model, tokenizer)
    texts = [words(count, tokenizer) for count in (30, 10, 12, 13, 30)]
    for reading in (*map(scope.read, texts), *scope.read_many(texts)):
        assert missed(reading) < 1e-5


class Backwards(transformers.BertModel):
    """Counts a text's positions from its end."""

    def forward(self, input_ids, attention_mask=None, **options):
        length = input_ids.shape[1]
        return super().forward(
            input_ids, attention_mask, position_ids=torch.arange(length - 1, -1, -1)[None], **options
        )


class ByTwos(transformers.BertModel):
    """Gives every second row of its position table out."""

    def forward(self, input_ids, attention_mask=None, **options):
        length = input_ids.shape[1]
        return super().forward(input_ids, attention_mask, position_ids=2 * torch.arange(length)[None], **options)


class TurnedBackwards(transformers.LlamaForCausalLM):
    def forward(self, input_ids, attention_mask=None, **options):
        length = input_ids.shape[1]
        return super().forward(
            input_ids, attention_mask, position_ids=torch.arange(length - 1, -1, -1)[None], **options
        )


class TurnedByTwos(transformers.LlamaForCausalLM):
    def forward(self, input_ids, attention_mask=None, **options):
        length = input_ids.shape[1]
        return super().forward(input_ids, attention_mask, position_ids=2 * torch.arange(length)[None], **options)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Backwards, ByTwos, TurnedBackwards, TurnedByTwos])
def test_a_model_that_counts_otherwise_is_taken_at_its_count(kind):
    tokenizer = zoo.roberta_like()
    scope = Scope.from_model(opened(kind.config_class, kind, tokenizer), tokenizer)
    texts = ["Time flies like an arrow.", "a bird", "Fruit flies like a banana in the bush"]
    for reading, together in zip(map(scope.read, texts), scope.read_many(texts), strict=True):
        assert missed(reading) < 1e-5
        assert missed(together) < 1e-5
        assert torch.allclose(together.z, reading.z, atol=2e-5)


def test_as_many_positions_are_read_as_a_table_has_rows_for():
    tokenizer = zoo.roberta_like()
    for kind, limit in ((transformers.BertModel, 40), (ByTwos, 20), (Backwards, 40)):
        scope = Scope.from_model(opened(kind.config_class, kind, tokenizer), tokenizer)
        assert scope.card.positions == limit
        assert scope.read(words(limit, tokenizer)).z.isfinite().all()
        with pytest.raises(InputError, match=f"at most {limit}"):
            scope.read(words(limit + 1, tokenizer))


def test_the_number_of_positions_of_a_model_around_another_is_that_of_the_one_that_reads():
    tokenizer = zoo.llama_like()
    text = transformers.MistralConfig(
        **(zoo.GROUPED | {"vocab_size": len(tokenizer), "max_position_embeddings": 16, "sliding_window": None})
    )
    vision = transformers.CLIPVisionConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=28, patch_size=14
    )
    config = transformers.LlavaConfig(text_config=text, vision_config=vision, image_token_index=len(tokenizer) - 1)
    scope = Scope.from_model(zoo.randomise(transformers.LlavaForConditionalGeneration(config)), tokenizer)
    assert scope.card.positions == 16
    with pytest.raises(InputError, match="the model reads at most 16"):
        scope.read(zoo.TEXT * 2)


def test_keys_stand_where_the_text_s_own_token_stood(scope_of):
    scope = scope_of("roberta")
    reading = scope.read("the early <pad> bird catches")
    source = len(reading.tokens) - 2
    feed = scope.bench.opened.feed
    keys = feed.vectors(torch.arange(scope.card.vocab_size), 1, reading.spots[source].rows, "k")  # (token, head, …)
    products = torch.einsum("hd,thd->ht", reading.q[1, 1], keys)
    assert torch.allclose(reading.seeks(1, 1, source=source, k=1).distances[:, 0], -products.amax(-1), rtol=1e-4)


def test_a_position_beyond_the_text_is_said_to_be_of_a_longer_one(longrope):
    reading = longrope.read("a bird in the bush")
    inside, beyond = (reading.seeks(1, 0, source=at, k=1).notes for at in (2, 20))
    assert [note for note in beyond if note not in inside] == [
        "Position 20 is beyond this text: the vocabulary stands where the last token of a text of 21 tokens does."
    ]


def roformer(**options):
    tokenizer = zoo.wordpiece()
    model = opened(
        transformers.RoFormerConfig,
        transformers.RoFormerModel,
        tokenizer,
        embedding_size=32,
        hidden_act="gelu",
        **options,
    )
    table = model.encoder.embed_positions
    with torch.no_grad():
        table.weight.copy_(type(model)(model.config).encoder.embed_positions.weight)  # sines, as they were
    return model, tokenizer


def test_sines_that_turn_keys_are_none_that_are_added():
    """RoFormer hands them to its blocks; without a position its keys are those that nothing has turned."""
    model, tokenizer = roformer()
    scope = Scope.from_model(model, tokenizer)
    assert not scope.card.position_embeddings
    reading = scope.read(zoo.TEXT)
    assert missed(reading) < 2e-5
    ids = torch.arange(scope.card.vocab_size)
    kept = []
    hook = model.encoder.layer[0].attention.self.key.register_forward_hook(lambda m, args, out: kept.append(out[:, 0]))
    with torch.no_grad():
        model(input_ids=ids[:, None])  # at position 0
    hook.remove()
    keys = kept[0].view(len(ids), 4, 8)  # [token, head, d_head]
    apart = (reading.z[0, 4] - keys).norm(dim=-1)  # [token, head]
    near = reading.nearest(4, 0, space="key", position=False, metric="euclidean", k=3)
    assert torch.allclose(near.distances, apart.T.sort().values[:, :3], atol=1e-5)
    assert near.own_rank.tolist() == [int((row < row[reading.tokens[4].id]).sum()) + 1 for row in apart.T]


def test_values_that_are_turned_have_no_encodings():
    with pytest.raises(ModelError, match="the value of a token at layer 0 is not that of the token alone"):
        Scope.from_model(*roformer(rotary_value=True))
