"""What is read on the page: a chat where the tokenizer has a template, a pair, ids; its address and files repeat it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from tests.app.browsers import Browser
from tests.app.looks import unfold
from tests.app.serving import Server
from tests.test_inputs import chatty, paired

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a dog"}]
READ: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("chat=true&text=a+dog&system=Be+brief.", {"messages": CHAT}),
    "ids": ("ids=0,88,12,40", {"ids": [0, 88, 12, 40]}),
    "bare": ("text=a+dog&special=false", {"text": "a dog", "special": False}),
    "pair": ("text=a+dog&pair=a+bird", {"text": "a dog", "pair": "a bird"}),
}
VIEWS = ["heads", "atlas", "attention", "written", "journey", "layers"]


@pytest.fixture(scope="module")
def llama() -> Scope:
    return Scope.from_model(*chatty())


@pytest.fixture(scope="module")
def bert() -> Scope:
    return Scope.from_model(*paired())


@pytest.fixture(scope="module")
def client(llama: Scope) -> Iterator[TestClient]:
    with TestClient(create_app(llama), base_url="http://127.0.0.1") as one:
        yield one


@pytest.fixture(scope="module")
def chatting(llama: Scope) -> Iterator[Server]:
    with Server(create_app(llama)) as running:
        yield running


@pytest.mark.parametrize(("query", "given"), READ.values(), ids=READ)
class TestGiven:
    """However it is given, it is the library's reading."""

    def test_the_api_reads_it(self, client: TestClient, llama: Scope, query: str, given: Any) -> None:
        answer = client.post("/api/v1/nearest", json={**given, "token": 1}).raise_for_status().json()
        reading = llama.read(**given)
        assert answer["given"] == given
        assert [one["id"] for one in answer["tokens"]] == [token.id for token in reading.tokens]
        near = reading.nearest(1)
        assert [[one["id"] for one in head["neighbors"]] for head in answer["heads"]] == near.ids.tolist()

    @pytest.mark.slow(cases=1)
    def test_an_address_gives_files_of_it_and_the_program_that_reads_it(
        self, client: TestClient, llama: Scope, query: str, given: Any
    ) -> None:
        for view in VIEWS:
            told = client.post(f"/api/v1/take?view={view}&token=1&{query}").raise_for_status().json()
            line = next(line for line in told["script"].splitlines() if line.startswith("reading = "))
            assert eval(line.removeprefix("reading = "), {"scope": llama}).passage == llama.read(**given).passage
        rows = client.get(f"/api/v1/take/positions.csv?token=1&{query}").raise_for_status().text
        assert len(rows.splitlines()) == 1 + 4 * len(llama.read(**given).tokens)
        assert client.get(f"/api/v1/take/view.html?token=1&{query}").raise_for_status()

    def test_another_text_beside_it_is_given_in_the_same_way(
        self, client: TestClient, llama: Scope, query: str, given: Any
    ) -> None:
        first = llama.read(**given)
        other = {"text": "a dog and a bird"}
        answer = client.post("/api/v1/compare", json={**given, "token": 1, "other": other})
        there = first.passage.saying(other["text"])
        if any(token.id == first.tokens[1].id for token in llama.read(**there.given).tokens):
            assert answer.raise_for_status().json()["other"].get("given") == (None if there.plain else there.given)
        else:
            assert answer.status_code == 422


def test_a_map_places_a_chat_into_a_chat(client: TestClient) -> None:
    pytest.importorskip("sklearn", reason="maps are not installed (extra: maps)")
    question: dict[str, Any] = {"method": "pca", "size": 60, "into": "a bird", "messages": CHAT}
    answer = client.post("/api/v1/map", json=question)
    while answer.status_code == 409:
        answer = client.post("/api/v1/map", json=question)
    texts = answer.raise_for_status().json()["texts"]
    assert [one["text"] for one in texts] == ["system: Be brief.\nuser: a bird", "system: Be brief.\nuser: a dog"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"text": "a", "ids": [1]}, "text and ids are given together"),
        ({"ids": [1], "messages": [{"role": "user", "content": "a"}]}, "ids and messages are given together"),
        ({"ids": [1], "special": False}, "special=False is for a text"),
        ({"ids": [10**6]}, "there is no token id 1000000"),
        ({"ids": "[1]"}, "ids"),
        ({"messages": [{"role": "user"}]}, "messages.0.content is missing."),
        ({"messages": []}, "messages is empty"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "no tools"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(client: TestClient, given: Any, says: str) -> None:
    answer = client.post("/api/v1/read", json=given)
    assert answer.status_code == 422
    assert says in answer.json()["error"]


def test_a_chat_counts_towards_the_servers_bound(client: TestClient) -> None:
    messages = [{"role": "user", "content": "a" * 6000}] * 2
    answer = client.post("/api/v1/read", json={"messages": messages})
    assert answer.status_code == 413
    assert "12,008 characters" in answer.json()["error"]


def opened(browser: Browser, server: Server, query: str) -> Browser:
    browser.errors.clear()
    browser.open(f"{server.address}/?{query}")
    browser.wait("document.readyState === 'complete' && document.querySelector('#neighbors td')")
    return browser


def labels(page: Browser) -> list[str]:
    return list(page.js("[...document.querySelectorAll('#tokens button')].map((one) => one.dataset.label)"))


def of_address(page: Browser) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.js("location.href")).query).items()}


@pytest.mark.slow
def test_a_switch_makes_the_text_a_message_and_the_address_says_so(
    browser: Browser, chatting: Server, llama: Scope
) -> None:
    page = opened(browser, chatting, "text=a+dog")
    unfold(page, "[name=chat]")
    page.click("#controls label:has([name=chat])")
    expected = [token.label for token in llama.tokens(messages=CHAT[1:])]
    page.wait(f"document.querySelectorAll('#tokens button').length === {len(expected)}")
    assert labels(page) == expected
    assert of_address(page)["chat"] == "true"
    page.js(
        "(() => { const one = document.querySelector('[name=system]'); one.value = 'Be brief.';"
        " one.dispatchEvent(new Event('change', { bubbles: true })); })()"
    )
    there = [token.label for token in llama.tokens(messages=CHAT)]
    page.wait(f"document.querySelectorAll('#tokens button').length === {len(there)}")
    assert labels(page) == there
    again = opened(page, chatting, urlsplit(page.js("location.href")).query)
    assert labels(again) == there
    assert again.js("document.querySelector('[name=system]').value") == "Be brief."
    assert page.errors == []


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_asks_about_the_chat(browser: Browser, chatting: Server, view: str) -> None:
    page = opened(browser, chatting, "text=a+dog&chat=true&token=1")
    seen: list[str] = []
    page.page.on("request", lambda request: seen.append(request.post_data or "") if request.method == "POST" else None)
    page.js(f"document.querySelector('[name=view][value={view}]').click()")
    page.wait(f"document.title.includes('·') && location.search.includes('view={view}')" if view != "heads" else "true")
    page.wait("!document.querySelector('#view').hasAttribute('data-busy')")
    asked = [json.loads(one) for one in seen if "mask" in one]
    assert all("text" not in one and one["messages"][0]["content"] == "a dog" for one in asked)
    assert asked or view == "heads"
    assert page.errors == []


@pytest.mark.slow
def test_ids_of_an_address_are_read_until_a_text_is_written(browser: Browser, chatting: Server, llama: Scope) -> None:
    page = opened(browser, chatting, "ids=0,88,12,40")
    there = [token.label for token in llama.tokens(ids=[0, 88, 12, 40])]
    assert labels(page) == there
    field = "document.querySelector('#text')"
    assert page.js(f"[{field}.value, {field}.placeholder]") == ["", "Token ids were read; a text takes their place"]
    assert not page.js("'draft' in document.querySelector('#ask').dataset")
    page.click("#ask .primary")  # nothing was written
    assert (labels(page), of_address(page)["ids"]) == (there, "0,88,12,40")
    page.js("[document.querySelector('#text').value = 'a bird', document.querySelector('#ask').requestSubmit()]")
    expected = [token.label for token in llama.tokens("a bird")]
    page.wait(f"document.querySelectorAll('#tokens button').length === {len(expected)}")
    assert labels(page) == expected
    assert "ids" not in of_address(page)
    assert page.js(f"{field}.placeholder") == ""
    page.go(-1)
    page.wait(f"{field}.value === '' && document.querySelectorAll('#tokens button').length === {len(there)}")
    page.js("document.querySelector('[name=view][value=map]').click()")
    page.js("[document.querySelector('#text').value = 'a bird', document.querySelector('#ask').requestSubmit()]")
    page.wait(f"document.querySelectorAll('#tokens button').length === {len(expected)}")
    assert "into" not in of_address(page), "a map of another text than the one that stood there"
    assert page.errors == []


@pytest.mark.long
def test_there_is_no_switch_without_a_template_and_a_pair_is_read(browser: Browser, bert: Scope) -> None:
    with Server(create_app(bert)) as server:
        page = opened(browser, server, "text=a+dog")
        assert page.js("document.querySelector('[data-control=given]').hidden")
        page = opened(browser, server, "text=a+dog&pair=a+bird&token=5")
        assert labels(page) == [token.label for token in bert.tokens("a dog", pair="a bird")]
        assert page.js("document.querySelector('[name=pair]').value") == "a bird"
        assert page.js("document.querySelector('label:has([name=chat])').checkVisibility()") is False
        assert page.errors == []
        assert httpx.get(f"{server.address}/?text=a+dog&pair=a+bird").status_code == 200
