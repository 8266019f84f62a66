"""How tokens are spelled: by what a tokenizer's decoder makes of them, whatever letters its vocabulary has."""

from __future__ import annotations

import pytest
import spelled
import torch
import zoo
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import ByT5Tokenizer, CanineTokenizer, PerceiverTokenizer

from headscope import Scope
from headscope.model.spelling import Spelling
from headscope.model.tokens import TokenNames
from headscope.question.kinds import KINDS
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey

LACKING, FULL, BYT5, PERCEIVER = (
    spelled.byte_level(),
    spelled.byte_level(lacking=False),
    ByT5Tokenizer(),
    PerceiverTokenizer(),
)


def named(tokenizer):
    return TokenNames(tokenizer, len(tokenizer) + 3)


def called(tokenizer, *tokens):
    """Label and sort of tokens."""
    names = named(tokenizer)
    return [(names[id].label, names[id].sort) for id in tokenizer.convert_tokens_to_ids(list(tokens))]


def test_a_byte_level_vocabulary_without_a_letter_for_every_byte_is_read_as_one():
    assert len(set(map(spelled.letter_of, range(256))) - set(LACKING.get_vocab())) == 21
    assert called(LACKING, "Ġflies", "čĊ", "ĠÎ±", "Î±", "Î", "ĠcafÃ") == [
        ("␣flies", "word"),
        ("␍⏎", "word"),
        ("␣α", "word"),
        ("α", "word"),
        ("⟨CE⟩", "byte"),
        ("␣caf⟨C3⟩", "byte"),
    ]


def test_without_a_decoder_the_tokenizer_s_own_splitting_says_that_it_is_byte_level():
    assert called(spelled.byte_level(decoder=False), "Ġflies", "Î") == [("␣flies", "word"), ("⟨CE⟩", "byte")]


def test_every_letter_of_the_byte_alphabet_in_a_vocabulary_of_words_stays_a_letter():
    assert called(spelled.letters(), "Ġ", "Ã", "Ãâ", "▁") == [(one, "word") for one in ("Ġ", "Ã", "Ãâ", "▁")]


def test_a_word_about_unused_places_is_not_one():
    assert called(spelled.letters(), "[unused1]", "unused") == [("[unused1]", "unused"), ("unused", "word")]


def test_a_fallback_s_bytes_are_bytes_and_a_low_line_is_a_space():
    tokenizer = spelled.metaspace()
    tokens = zoo.tokenize("Time ζ\n", named(tokenizer))
    assert [t.text for t in tokens] == ["▁Time", "▁", "<0xCE>", "<0xB6>", "<0x0A>"]
    assert called(tokenizer, *(t.text for t in tokens)) == [
        ("␣Time", "word"), ("␣", "word"), ("⟨CE⟩", "byte"), ("⟨B6⟩", "byte"), ("⏎", "byte")
    ]  # fmt: skip


def test_without_a_fallback_what_looks_like_a_byte_is_text():
    assert called(spelled.metaspace(fallback=False), "<0xCE>", "▁Time") == [("<0xCE>", "word"), ("␣Time", "word")]


@pytest.mark.parametrize("tokenizer", [BYT5, PERCEIVER], ids=["ByT5", "Perceiver"])
def test_a_tokenizer_in_python_whose_tokens_are_bytes(tokenizer):
    names = named(tokenizer)
    tokens = [t for t in zoo.tokenize("naï 😀", names) if not t.special]
    assert [t.label for t in tokens] == ["n", "a", "⟨C3⟩", "⟨AF⟩", "␣", "⟨F0⟩", "⟨9F⟩", "⟨98⟩", "⟨80⟩"]
    assert [names[t.id].sort for t in tokens] == ["word", "word", "byte", "byte", "word", *["byte"] * 4]


@pytest.mark.long
def test_a_tokenizer_whose_tokens_are_code_points():
    names = TokenNames(CanineTokenizer(), 2**16)
    assert [(names[id].label, names[id].sort) for id in (ord("ï"), ord("α"), 0x202E, 0xE000)] == [
        ("ï", "word"),
        ("α", "word"),
        ("⟨U+202E⟩", "word"),
        ("⟨U+E000⟩", "special"),
    ]


def test_ids_above_the_number_of_tokens_have_their_names_where_a_vocabulary_has_holes():
    tokenizer = spelled.letters()
    holed = {**tokenizer.get_vocab(), "far": 900}
    made = spelled.words(holed)
    names = TokenNames(made, 1000)
    assert (names[900].label, names[900].sort) == ("far", "word")
    assert names[899].sort == "unnamed"


def test_a_text_that_brings_its_own_end_is_read():
    read = zoo.tokenize("a</s>", named(BYT5))
    assert [(token.id, token.special) for token in read] == [(100, False), (1, True)]


@pytest.mark.parametrize(
    ("tokenizer", "lost"),
    [(FULL, []), (LACKING, spelled.CONTROLS), (BYT5, []), (PERCEIVER, [])],
    ids=["full", "lacking", "ByT5", "Perceiver"],
)
def test_the_bytes_that_the_tokens_stand_for_are_the_text_s(tokenizer, lost):
    spelling, names = Spelling.of(tokenizer), named(tokenizer)
    characters = st.characters(exclude_categories=["Cs"], exclude_characters=[chr(code) for code in lost])
    marks = tokenizer.all_special_tokens  # which a text may bring, too: they stand for no bytes

    @settings(max_examples=200, deadline=None)
    @given(st.text(characters, min_size=1).filter(lambda text: text.strip() and not any(one in text for one in marks)))
    def holds(text):
        pieces = [spelling.read(t.text) for t in zoo.tokenize(text, names) if not t.special]
        assert b"".join(pieces) == text.encode()

    holds()


@pytest.fixture(scope="module")
def scope():
    model, _ = zoo.build("gpt2")
    model.resize_token_embeddings(len(LACKING))
    return Scope.from_model(zoo.randomise(model), LACKING)


def test_a_word_with_its_space_is_a_form_of_the_word(scope):
    reading = scope.read("Time flies")
    near = reading.nearest(0, 1, k=scope.card.vocab_size)
    kinds = dict(zip(near.ids[0].tolist(), near.kinds[0].tolist(), strict=True))
    id = LACKING.convert_tokens_to_ids("Ġtime")
    assert KINDS[kinds[id]] == "variant"
    assert near.places[id] == (0,)
    words = reading.nearest(0, 1, k=10, candidates="words").ids
    stray = torch.tensor([id for id in range(len(LACKING)) if scope.bench.opened.names[id].sort == "byte"])
    assert len(stray) > 100
    assert not torch.isin(words, stray).any()


def test_a_survey_names_such_a_vocabulary_and_knows_its_forms(scope, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "texts.txt").write_text("Time flies α\nthe time flies\n" * 3)
    survey = Survey.prepare(scope, [tmp_path / "texts.txt"], tmp_path / "out", SurveyOptions(references=("layer",)))
    survey.run()
    vocabulary = parquet.read_table(tmp_path / "out" / "vocabulary.parquet").to_pylist()
    at = LACKING.convert_tokens_to_ids(["Ġflies", "Î"])
    assert [(vocabulary[id]["label"], vocabulary[id]["sort"]) for id in at] == [("␣flies", "word"), ("⟨CE⟩", "byte")]
