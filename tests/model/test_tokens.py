"""Tokens of a text: what they are called, where they stand, and how one is named."""

from __future__ import annotations

import pytest
import zoo
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from headscope import InputError
from headscope.model.spelling import Spelling
from headscope.model.tokens import TokenNames, find, readable
from headscope.studies.probes import fit_lens, recovery


@pytest.fixture
def names(build):
    def of(name):
        _, tokenizer = build(name)
        return TokenNames(tokenizer, len(tokenizer) + 3)

    return of


def test_positions_ids_and_spans_of_a_byte_level_tokenizer(names):
    tokens = zoo.tokenize("Time flies", names("roberta"))
    assert [t.position for t in tokens] == list(range(len(tokens)))
    assert [t.special for t in tokens] == [True, *[False] * (len(tokens) - 2), True]
    assert tokens[0].span is None
    assert tokens[0].text == "<s>"
    assert "".join("Time flies"[slice(*t.span)] for t in tokens[1:-1]) == "Timeflies"  # no white space in a span


def test_a_leading_space_shows_and_the_raw_token_is_kept(names):
    tokens = zoo.tokenize("Time flies", names("gpt2"))
    assert any(t.label.startswith("␣") and t.text.startswith("Ġ") for t in tokens)


def test_a_byte_that_is_no_character_shows_as_its_number(names):
    tokens = zoo.tokenize("a😀", names("gpt2"))
    assert [t.label for t in tokens][-4:] == ["⟨F0⟩", "⟨9F⟩", "⟨98⟩", "⟨80⟩"]
    assert [names("gpt2")[t.id].sort for t in tokens][-4:] == ["byte"] * 4


def test_word_pieces_keep_their_marks(names):
    assert any(t.label.startswith("##") for t in zoo.tokenize("shellings", names("bert")))


def test_an_unknown_word_is_a_word_of_the_text_and_a_frame_token_is_not(names):
    tokens = zoo.tokenize("Ω", names("bert"))
    assert [t.special for t in tokens] == [True, False, True]


def test_ids_without_a_token_have_a_name_of_their_own(names):
    of_bert = names("bert")
    assert of_bert[of_bert.vocab_size - 1].sort == "unnamed"
    assert of_bert[1].sort == "unused"
    assert of_bert[0].sort == "special"
    assert not of_bert.words[of_bert.vocab_size - 1]


def test_an_id_that_a_vocabulary_leaves_out_has_no_token():
    backend = Tokenizer(WordLevel({"<unk>": 0, "banana": 1, "arrow": 5}, unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    assert [TokenNames(tokenizer, 8)[id].sort for id in (1, 3, 5, 7)] == ["word", "unnamed", "word", "unnamed"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\n", "⏎"),
        ("\t", "⇥"),
        ("a b", "a b"),
        (" a", "␣a"),
        ("\u202eabc", "⟨U+202E⟩abc"),
        ("\x1b[31m", "⟨U+001B⟩[31m"),
    ],
)
def test_nothing_invisible_stays_invisible(text, shown):
    assert readable(text) == shown


def test_a_token_is_named_by_its_position_or_its_text(names):
    text = "the arrow and the banana"
    tokens = zoo.tokenize(text, names("bert"))
    assert find(2, tokens, text) == 2
    arrow = find("arrow", tokens, text)
    assert text[slice(*tokens[arrow].span)] == "arrow"
    assert find("ARROW", tokens, text) == arrow
    assert find("[CLS]", tokens, text) == 0


def test_the_exact_text_goes_before_the_same_in_another_case(names):
    text = "banana Banana"
    tokens = zoo.tokenize(text, names("bert"))
    assert find("Banana", tokens, text) > find("banana", tokens, text)


def test_an_ambiguous_text_is_told_with_its_positions(names):
    text = "the arrow and the banana"
    with pytest.raises(InputError, match=r"'the' stands at positions 1 and \d"):
        find("the", zoo.tokenize(text, names("bert")), text)


@pytest.mark.parametrize("token", [99, -1, "zebra", True, 1.5, None])
def test_a_token_that_is_not_there_is_refused(names, token):
    text = zoo.TEXT
    with pytest.raises(InputError):
        find(token, zoo.tokenize(text, names("bert")), text)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_is_refused(names, text):
    with pytest.raises(InputError, match="empty"):
        zoo.tokenize(text, names("bert"))


def test_a_tokenizer_with_more_tokens_than_the_model_has_embeddings_is_told(build):
    _, tokenizer = build("bert")
    with pytest.raises(InputError, match="do not belong together"):
        zoo.tokenize(zoo.TEXT, TokenNames(tokenizer, 20))


HALVES = [
    ("half an emoji \ud83d here", "half a character, U\\+D83D .* at character 14 "),
    ("\ude00", "half a character, U\\+DE00 .* at character 0 "),
    ("caf\udce9 au lait", "the byte E9, which was no UTF-8, at character 3 "),
]


@pytest.mark.parametrize("model", ["bert", "gpt2"])
@pytest.mark.parametrize(("text", "said"), HALVES)
def test_half_a_character_is_refused_at_every_door_with_its_place(scope_of, model, text, said):
    scope = scope_of(model)
    for ask in (
        lambda: scope.read(text),
        lambda: scope.read_many([zoo.TEXT, text]),
        lambda: scope.bank([zoo.TEXT, text], size=30),
        lambda: fit_lens(scope, [zoo.TEXT, text]),
        lambda: recovery(scope, [zoo.TEXT, text]),
        lambda: scope_of("t5/decoder").read(zoo.TEXT, decoder_text=text),
        lambda: scope_of("t5/decoder").read(text, decoder_text=zoo.TEXT),
    ):
        with pytest.raises(InputError, match=said) as refused:
            ask()
        str(refused.value).encode()  # it can be printed


def test_what_the_sentence_about_half_a_character_advises_works(names):
    with pytest.raises(InputError) as refused:
        zoo.tokenize("a \ud83d\ude00 b \ud83d", names("gpt2"))
    assert "text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')" in str(refused.value)
    mended = "a \ud83d\ude00 b \ud83d".encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert mended == "a 😀 b \ufffd"
    assert zoo.tokenize(mended, names("gpt2"))


@pytest.mark.parametrize("model", ["bert", "gpt2"])
@pytest.mark.parametrize("text", ["a\0b", "\0", "\u202eback", "\u2066to", "\ufeffa", "a\x1b[31m", "e\u0301\u0301"])
def test_characters_that_do_not_show_are_read_and_shown_by_their_numbers(scope_of, model, text):
    try:
        reading = scope_of(model).read(text)
    except InputError as refused:
        pytest.fail(str(refused))
    assert not set("\0\u202e\u2066\ufeff\x1b") & set("".join(token.label for token in reading.tokens) + repr(reading))
    if model == "gpt2":
        spelling = Spelling.of(reading.bench.opened.names.tokenizer)
        assert b"".join(spelling.read(token.text) for token in reading.tokens) == text.encode()
