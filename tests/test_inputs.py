"""What is read may be a text, two, token ids or a chat: the tokens are the tokenizer's, and every identity holds."""

from __future__ import annotations

import pytest
import torch
import transformers
import zoo
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import processors

from headscope import InputError, Scope

TEXT, SECOND = "time flies like an arrow", "fruit flies like a banana"
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'tool' %}{{ raise_exception('no tools') }}"
    "{% endif %}[{{ message.role }}] {{ message.content }}{{ eos_token }}{% endfor %}"
)
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Time flies like an arrow."}]


def chatty(name="llama"):
    model, tokenizer = zoo.build(name)
    tokenizer.chat_template = TEMPLATE
    return model, tokenizer


def paired(name="bert"):
    """A tokenizer that joins two texts as BERT's does, with token types."""
    model, tokenizer = zoo.build(name)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 3), ("[SEP]", 4)],
    )
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    return model, tokenizer


@pytest.fixture(scope="module")
def llama():
    return Scope.from_model(*chatty())


@pytest.fixture(scope="module")
def bert():
    return Scope.from_model(*paired())


def slices(reading):
    return [reading.text[slice(*token.span)] if token.span else None for token in reading.tokens]


class TestIds:
    """Token ids are read as they are."""

    def test_are_the_tokens_and_give_the_readings_of_the_text_that_they_are_of(self, llama):
        of_text = llama.read("Time flies like an arrow.")
        reading = llama.read(ids=[token.id for token in of_text.tokens])
        assert torch.equal(reading.z, of_text.z)
        assert [t.text for t in reading.tokens] == [t.text for t in of_text.tokens]
        assert [t.special for t in reading.tokens] == [t.special for t in of_text.tokens]

    def test_have_the_text_that_they_decode_to_where_it_is_these_ids_again(self, llama):
        reading = llama.read(ids=[token.id for token in llama.tokens("Time flies")])
        assert reading.text == "<s>Time flies"
        assert "".join(slices(reading)) == "<s>Timeflies"
        assert reading.position_of("<s>") == 0

    def test_have_no_text_where_decoding_loses_something(self, llama):
        half = llama.tokens("😀")[1].id  # one byte of four
        reading = llama.read(ids=[half, half])
        assert reading.text == ""
        assert [token.span for token in reading.tokens] == [None, None]
        assert reading.tokens[0].label == "⟨F0⟩"
        assert reading.nearest(1, k=2).ids.shape == (4, 2)

    @settings(deadline=None, max_examples=25)
    @given(st.lists(st.integers(0, 372), min_size=1, max_size=12))
    def test_of_any_kind_keep_their_names_and_positions(self, llama, ids):
        tokens = llama.tokens(ids=ids)
        assert [token.id for token in tokens] == ids
        assert [token.position for token in tokens] == [*range(len(ids))]
        names = llama.bench.opened.names
        assert [token.text for token in tokens] == [names[id].text for id in ids]

    def test_come_from_any_library(self, llama):
        ids = [5, 9, 300]
        assert [t.id for t in llama.tokens(ids=torch.tensor(ids))] == ids

    @pytest.mark.parametrize(
        ("ids", "says"),
        [
            ([], "ids is empty"),
            ([3, 100_000], "there is no token id 100000 (at place 1); ids are 0 to"),
            ([-1], "there is no token id -1 (at place 0)"),
            ([1.5], "what stands at place 0 is 1.5"),
            ("12", "put it into brackets"),
            ([5] * 41, "the text has 41 tokens, and the model reads at most 40"),
        ],
    )
    def test_that_are_none_are_refused_in_a_sentence(self, llama, ids, says):
        with pytest.raises(InputError) as caught:
            Scope.from_model(*zoo.build("gpt2")).read(ids=ids)
        assert says in str(caught.value)

    def test_are_cut_where_that_is_asked_for(self):
        reading = Scope.from_model(*zoo.build("gpt2")).read(ids=[5] * 50, truncate=True)
        assert len(reading.tokens) == 40
        assert any("40 of its 50 tokens" in note for note in reading.notes)


class TestMessages:
    """A chat is read as the tokenizer's template renders it."""

    def test_are_the_tokens_that_transformers_makes_of_them(self, llama):
        tokenizer = llama.bench.opened.names.tokenizer
        assert [t.id for t in llama.tokens(messages=CHAT)] == tokenizer.apply_chat_template(CHAT)["input_ids"]

    def test_have_spans_into_the_rendered_text_special_tokens_too(self, llama):
        reading = llama.read(messages=CHAT)
        assert reading.text.startswith("<s>[system] Be brief.</s>[user]")
        assert slices(reading)[0] == "<s>"
        assert [t.special for t in reading.tokens if t.text in ("<s>", "</s>")] == [True] * 3
        assert reading.text[slice(*reading.tokens[reading.position_of("arrow")].span)] == "arrow"
        assert reading.notes == ()

    def test_that_were_rendered_by_hand_and_read_as_a_text_carry_a_note(self, llama):
        rendered = llama.read(messages=CHAT).text
        doubled = llama.read(rendered)
        assert [t.text for t in doubled.tokens[:2]] == ["<s>", "<s>"]
        assert any("twice (<s>)" in note for note in doubled.notes)
        alike = llama.read(rendered, special=False)
        assert alike.notes == ()
        assert [t.id for t in alike.tokens] == [t.id for t in llama.tokens(messages=CHAT)]
        assert any("twice (<s>)" in note for note in doubled.nearest(2).notes)

    def test_without_a_template_are_refused_in_a_sentence(self):
        with pytest.raises(InputError, match="has no chat template"):
            Scope.from_model(*zoo.build("gpt2")).read(messages=CHAT)

    def test_that_the_template_refuses_are_refused_with_its_words(self, llama):
        with pytest.raises(InputError, match="no tools"):
            llama.read(messages=[{"role": "tool", "content": "x"}])

    @pytest.mark.parametrize("given", [[], [{"role": "user"}], [{"role": "user", "content": 3}], ["hello"], CHAT[0]])
    def test_of_another_form_are_refused(self, llama, given):
        with pytest.raises(InputError, match="messages is"):
            llama.read(messages=given)


class TestPairs:
    """Two texts are joined as the tokenizer joins them, and keep their token types."""

    def test_are_read_with_the_models_own_result(self, bert):
        model, tokenizer = paired()
        seen = []
        hook = model.encoder.layer[1].attention.output.dense.register_forward_pre_hook(
            lambda module, args: seen.append(args[0])
        )
        with torch.no_grad():
            model(**tokenizer(TEXT, SECOND, return_tensors="pt", return_token_type_ids=True))
        hook.remove()
        assert torch.allclose(bert.read(TEXT, pair=SECOND).z[1].flatten(1), seen[0][0], atol=1e-5)

    def test_have_spans_into_both_texts(self, bert):
        reading = bert.read(TEXT, pair=SECOND)
        assert reading.text == f"{TEXT}\n{SECOND}"
        assert [piece for piece in slices(reading) if piece] == [*TEXT.split(), *SECOND.split()]
        assert [t.special for t in reading.tokens] == [t.span is None for t in reading.tokens]

    @pytest.mark.parametrize("space", ["value", "output"])
    @pytest.mark.parametrize("name", ["bert", "electra", "albert", "nomic-bert"])
    def test_every_value_is_its_tokens_encoding_where_it_stands(self, name, space):
        """At layer 0 a token's own v is its encoding, in both texts, whatever their types."""
        if not hasattr(transformers, zoo.ZOO[name][1][0]):
            pytest.skip(f"transformers {transformers.__version__} has no {name}")
        scope = Scope.from_model(*paired(name))
        reading = scope.read(TEXT, pair=SECOND)
        everywhere = list(range(len(reading.tokens)))
        near = reading.nearest(everywhere, vector="v", space=space, metric="euclidean", k=1)
        assert near.own_distance.max() < 1e-4
        assert (near.own_rank == 1).all()

    def test_without_the_position_the_vocabulary_keeps_the_token_type(self):
        """BERT whose position embeddings are 0: with the switch off nothing changes, in the second text either."""
        model, tokenizer = paired()
        model.embeddings.position_embeddings.weight.data.zero_()
        reading = Scope.from_model(model, tokenizer).read(TEXT, pair=SECOND)
        near = reading.nearest(list(range(len(reading.tokens))), vector="v", position=False, metric="euclidean", k=1)
        assert near.own_distance.max() < 1e-4

    def test_a_journey_starts_at_the_tokens_own_embedding_in_both_texts(self, bert):
        journey = bert.read(TEXT, pair=SECOND).journey()
        assert (journey.own_rank[0] == 1).all()

    def test_in_a_batch_are_what_they_are_alone(self, bert):
        readings = bert.read_many([TEXT, SECOND], pairs=[SECOND, "a dog"])
        for reading, (text, pair) in zip(readings, [(TEXT, SECOND), (SECOND, "a dog")], strict=True):
            alone = bert.read(text, pair=pair)
            assert torch.allclose(reading.z, alone.z, atol=1e-5)
            assert [spot.key for spot in reading.spots] == [spot.key for spot in alone.spots]

    def test_of_a_model_without_token_types_are_read_by_their_ids(self):
        scope = Scope.from_model(*zoo.build("roberta"))
        reading = scope.read(TEXT, pair=SECOND)
        again = scope.read(ids=[t.id for t in reading.tokens])
        assert torch.equal(reading.z, again.z)

    def test_a_single_text_is_read_as_before(self, bert):
        plain = Scope.from_model(*zoo.build("bert")).read(TEXT)
        assert torch.equal(bert.read(TEXT).z, plain.z)
        assert [a.key for a in bert.read(TEXT).spots] == [b.key for b in plain.spots]

    def test_an_edit_and_the_mask_see_the_types_too(self, bert):
        reading = bert.read(TEXT, "causal", pair=SECOND, edit={(0, 1): "zero"})
        assert (reading.z[0, :, 1] == 0).all()
        assert torch.allclose(reading.residual[0], bert.read(TEXT, pair=SECOND).residual[0])


def test_special_tokens_can_be_left_out(bert):
    reading = bert.read(TEXT, special=False)
    assert [t.special for t in reading.tokens] == [False] * 5
    assert [t.text for t in bert.read(TEXT, pair="a dog", special=False).tokens][-2:] == ["a", "dog"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "the text is a string, not None: give one of"),
        ({"text": TEXT, "ids": [1]}, "text and ids are given together: give one of"),
        ({"text": TEXT, "messages": CHAT, "ids": [1]}, "text and ids and messages are given together"),
        ({"ids": [1], "pair": TEXT}, "a pair is for a text; ids are read as they are"),
        ({"messages": CHAT, "special": False}, "special=False is for a text; messages are read as they are"),
        ({"text": TEXT, "special": "no"}, "special is True or False, not 'no'"),
        ({"text": TEXT, "pair": 3}, "the pair is a string, not 3"),
        ({"text": TEXT, "pair": " "}, "the second text is empty"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_sentence(bert, given, says):
    with pytest.raises(InputError) as caught:
        bert.read(**given)
    assert says in str(caught.value)


def test_several_of_a_kind_are_read_in_a_batch(llama):
    ids = [[t.id for t in llama.tokens(text)] for text in (TEXT, "a dog")]
    chats = [CHAT, CHAT[1:]]
    for many, single in (
        (llama.read_many(ids=ids), [llama.read(ids=one) for one in ids]),
        (llama.read_many(messages=chats), [llama.read(messages=one) for one in chats]),
        (llama.read_many([TEXT, "a dog"], special=False), [llama.read(t, special=False) for t in (TEXT, "a dog")]),
    ):
        assert [reading.text for reading in many] == [reading.text for reading in single]
        for reading, alone in zip(many, single, strict=True):
            assert torch.allclose(reading.z, alone.z, atol=1e-5)
    with pytest.raises(InputError, match="2 texts and 1 pairs"):
        llama.read_many([TEXT, TEXT], pairs=[SECOND])
    with pytest.raises(InputError, match="texts is a list"):
        llama.read_many()


def test_a_decoder_reads_ids_behind_its_start(build):
    scope = Scope.from_model(*build("bart/decoder"), stack="decoder")
    of_text = scope.read(TEXT)
    reading = scope.read(ids=[t.id for t in of_text.tokens[1:]])
    assert torch.equal(reading.z, of_text.z)
    assert [t.id for t in reading.tokens] == [t.id for t in of_text.tokens]
