"""`POST /models`, and the page's sheet: a model is opened in every way in which the library opens one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import packed
import pytest
import zoo
from fastapi.testclient import TestClient

from headscope import InputError, Scope
from headscope.app import create_app
from headscope.question.model_choice import ModelChoice
from tests.app.browsers import Browser
from tests.app.serving import Server
from tests.model.test_adapter_directories import KINDS, trained

HERE = "http://127.0.0.1"
PACKED = packed.there("bitsandbytes")
NOT_PACKED = 'to pack weights in {} needs bitsandbytes: pip install "headscope[quantised]"'


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A base and an adapter for it."""
    made = tmp_path_factory.mktemp("models")
    base = zoo.save("llama", made / "base")
    trained(KINDS["projections"](), made / "adapter", base)
    return str(base), str(made / "adapter")


class Opener:
    """Opens as the server of `headscope serve` does, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, name: str, progress: Callable[[str], None]) -> Scope:
        self.asked.append(name)
        return Scope.from_choice(replace(ModelChoice.of_spelling(name), device="cpu"), progress=progress)


@pytest.fixture
def opener() -> Opener:
    return Opener()


@pytest.fixture
def client(scope_of: Callable[[str], Scope], opener: Opener) -> Iterator[TestClient]:
    with TestClient(create_app(scope_of("llama"), open_model=opener), base_url=HERE) as one:
        yield one


def opened(client: TestClient, **asked: Any) -> Any:
    told = client.post("/api/v1/models", json=asked).raise_for_status().json()
    while told["state"] == "working":
        time.sleep(0.05)
        told = client.get("/api/v1/models/opening").json()
    return told


@pytest.mark.slow
def test_a_base_and_an_adapter_are_opened_together(client: TestClient, places: tuple[str, str]) -> None:
    base, adapter = places
    told = opened(client, model=base, adapter=adapter)
    assert (told["state"], told["name"]) == ("ready", f"{base} + {adapter}"), told["problem"]
    read = client.post("/api/v1/read", json={"model": told["name"], "text": "a dog"}).json()
    assert read["model"]["name"] == f"{base} + {adapter}"


@pytest.mark.slow
def test_an_adapter_alone_brings_its_base(client: TestClient, places: tuple[str, str]) -> None:
    base, adapter = places
    assert opened(client, adapter=adapter)["card"]["name"] == f"{base} + {adapter}"


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["4bit", "8bit"])
def test_weights_are_packed_where_that_is_chosen(client: TestClient, opener: Opener, quantize: str) -> None:
    """Which needs bitsandbytes; where it is not there the page says what brings it."""
    told = opened(client, model="demo", quantize=quantize)
    assert opener.asked == [f"demo ({quantize})"]
    if not PACKED:
        assert told["state"] == "failed"
        assert told["problem"] == NOT_PACKED.format(quantize)
        return
    assert told["card"]["quantize"] == quantize
    read = client.post("/api/v1/read", json={"model": told["name"], "text": "a dog"}).json()
    assert "bitsandbytes" in read["model"]["arithmetic"]


@pytest.mark.slow
def test_what_is_wrong_is_told_without_the_command_lines_options(client: TestClient, places: tuple[str, str]) -> None:
    lost = Path(places[1]).parent / "lost"
    lost.mkdir()
    (lost / "adapter_config.json").write_text('{"base_model_name_or_path": "./nowhere", "peft_type": "LORA"}')
    problem = opened(client, adapter=str(lost))["problem"]
    assert "Name a base that is there: its base as the model, and this directory as the adapter" in problem
    assert "--model" not in problem
    assert "from_pretrained" not in problem


@pytest.mark.parametrize("asked", [{}, {"quantize": "4bit"}])
def test_something_has_to_be_named(client: TestClient, asked: Any) -> None:
    refused = client.post("/api/v1/models", json=asked)
    assert refused.status_code == 422
    assert refused.json()["error"] == "name a model, or an adapter, which names its base."


@pytest.mark.slow(cases=3)
@pytest.mark.parametrize("adapter", ["//host/share", "/dev/zero", "/proc/self", r"\\host\share"])
@pytest.mark.parametrize("spelled", [False, True])
def test_an_adapter_is_looked_up_only_where_a_model_is(
    client: TestClient, opener: Opener, adapter: str, spelled: bool
) -> None:
    asked = {"model": f"demo + {adapter} (4bit)"} if spelled else {"model": "demo", "adapter": adapter}
    refused = client.post("/api/v1/models", json=asked)
    assert refused.status_code == 403
    assert "a model is a Hub id or a directory of the server's own disks" in refused.json()["error"]
    assert opener.asked == []


@pytest.mark.parametrize(
    "choice",
    [ModelChoice("demo"), ModelChoice("demo", quantize="8bit"), ModelChoice("./a + b", quantize="4bit")],
)
def test_a_spelling_is_taken_apart_as_it_was_made(choice: ModelChoice) -> None:
    assert ModelChoice.of_spelling(str(choice.spelled)) == choice


def test_a_packing_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(InputError, match="quantize is '3bit'"):
        Scope.from_choice(ModelChoice("demo", quantize="3bit"))


@pytest.fixture
def sheet(
    browser: Browser, scope_of: Callable[[str], Scope], opener: Opener
) -> Iterator[tuple[Browser, Callable[..., None]]]:
    """The page with its sheet of models open; what fills the sheet in by keys alone, from its first field on."""

    def filled(*fields: str) -> None:
        browser.js("document.querySelector('#model-name').select()")
        for field in fields:
            browser.press(*([field] if field else ["Delete"]), "Tab")
            browser.js("document.activeElement.select?.()")
        browser.press("Enter")

    with Server(create_app(scope_of("llama"), open_model=opener)) as running:
        browser.errors.clear()
        browser.open(running.address)
        browser.click("[popovertarget=models]")
        browser.wait("document.querySelector('#known-models li')")
        yield browser, filled
        browser.js("localStorage.clear()")


SAYS = "document.querySelector('#model-says').textContent"


@pytest.mark.slow
def test_the_sheet_opens_a_model_with_an_adapter(sheet: Any, opener: Opener, places: tuple[str, str]) -> None:
    page, filled = sheet
    base, adapter = places
    filled(base, adapter, "ArrowUp")  # as they are stands first
    page.arrive("location.search.includes('model=')")
    page.wait(f"document.querySelector('#model button').textContent === '{base} + {adapter}'")
    assert opener.asked == [f"{base} + {adapter}"]
    page.wait("document.querySelector('#card')?.textContent.includes('with a PEFT adapter')")
    assert page.errors == []


@pytest.mark.slow
def test_the_sheet_packs_weights(sheet: Any, opener: Opener, tmp_path: Path) -> None:
    page, filled = sheet
    # Where AVX-512 does it, bitsandbytes multiplies no fewer rows than 32.
    base = str(zoo.save("llama", tmp_path / "base", shape=packed.SHAPE))
    filled(base, "", "ArrowDown")
    if PACKED:
        page.arrive("location.search.includes('4bit')")
        page.wait(f"document.querySelector('#model button').textContent === '{base} (4bit)'")
        page.wait("document.querySelector('#card')?.textContent.includes('bitsandbytes')")
    else:
        page.wait(f"{SAYS} === {'T' + NOT_PACKED.format('4bit')[1:]!r}")
    assert opener.asked == [f"{base} (4bit)"]
    assert page.errors == []


@pytest.mark.long
def test_the_sheet_says_what_is_wrong(sheet: Any, opener: Opener) -> None:
    page, filled = sheet
    assert page.js("[...document.querySelectorAll('#open-model :is(input, select)')].map((e) => e.labels.length)") == [
        1,
        1,
        1,
    ]
    filled("", "", "ArrowUp")
    page.wait(f"{SAYS} === 'Name a model, or an adapter, which names its base.'")
    filled("nowhere/at-all", "./no adapter", "ArrowUp")
    page.wait(f"{SAYS}.startsWith(\"There is no directory './no adapter'\")")
    assert opener.asked == ["nowhere/at-all + ./no adapter"]
    assert page.js("document.querySelector('#opening').hidden")
