"""What is read, on the command line: a chat, a second text, no special tokens, token ids; and in the JSON."""

from __future__ import annotations

import io
import json
import sys

import pytest

from tests.test_inputs import chatty, paired

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a dog"}]


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    made = {}
    for name, make in (("llama", chatty), ("bert", paired)):
        made[name] = tmp_path_factory.mktemp(name)
        for part in make():
            part.save_pretrained(made[name])
    return made


@pytest.mark.parametrize(
    ("name", "options", "given"),
    [
        ("llama", ["a dog", "--chat", "--system", "Be brief."], {"messages": CHAT}),
        ("llama", ["a dog", "--chat"], {"messages": CHAT[1:]}),
        ("llama", ["a dog", "--no-special"], {"text": "a dog", "special": False}),
        ("llama", ["--ids", "0 88, 12"], {"ids": [0, 88, 12]}),
        ("bert", ["a dog", "--pair", "a bird"], {"text": "a dog", "pair": "a bird"}),
        ("bert", ["a dog", "--pair", "a bird", "--view", "mixing"], {"text": "a dog", "pair": "a bird"}),
    ],
)
def test_json_says_how_the_text_was_given(run, directories, name, options, given):
    told = json.loads(run("look", *options, "--model", directories[name], "--token", 0, "--json")[1])
    assert told["given"] == given
    if "messages" in given:
        assert told["text"].endswith("[user] a dog</s>")
    if "ids" in given:
        assert [token["id"] for token in told["tokens"]] == given["ids"]


def test_json_of_a_plain_text_is_as_it_was(run, directories):
    told = json.loads(run("look", "a dog", "--model", directories["bert"], "--json")[1])
    assert "given" not in told


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["look", "--system", "x"], "--system is for --chat: give both"),
        (["look", "--chat", "--pair", "x"], "--pair and --chat do not go together"),
        (["look", "--ids", "1", "--chat"], "--chat and --ids do not go together"),
        (["look", "--ids", "1", "--no-special"], "--no-special and --ids do not go together"),
        (["look", "a dog", "--ids", "1"], "text and ids are given together"),
        (["look", "--ids", "one"], "--ids is 'one'; it is numbers"),
        (["look", "--ids", ""], "--ids is ''; it is numbers"),
        (["map", "-o", "x.svg", "--system", "x"], "--system is for --chat: give both"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(run, line, says):
    code, _, said = run(*line)
    assert code == 2
    assert says in said.decode()


@pytest.mark.parametrize("piped", [b"Time flies.\n", b"\xef\xbb\xbfTime flies.\r\n", b"Time flies."])
def test_a_dash_is_what_comes_on_standard_input(run, model, monkeypatch, piped):
    told = run("look", "Time flies.", "--model", model, "--json")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped)))
    assert run("look", "-", "--model", model, "--json") == told


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        (None, b"empty"),
        (io.TextIOWrapper(io.BytesIO(b"\xff")), b"no UTF-8"),
        (io.TextIOWrapper(io.BytesIO(b"\n")), b"empty"),
    ],
)
def test_a_dash_without_a_text_is_told(run, model, monkeypatch, stdin, said):
    monkeypatch.setattr(sys, "stdin", stdin)
    code, out, err = run("look", "-", "--model", model)
    assert (code, out) == (2, b"")
    assert said in err
