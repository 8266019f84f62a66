"""`POST /models`: a model is opened in every way in which the library opens one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zoo
from fastapi.testclient import TestClient

from headscope import InputError, Scope
from headscope.app import create_app
from headscope.question.model_choice import ModelChoice
from tests.model.test_adapter_directories import KINDS, trained

HERE = "http://127.0.0.1"


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
    try:
        import bitsandbytes  # noqa: F401
    except ModuleNotFoundError:
        assert told["state"] == "failed"
        assert told["problem"] == (
            f'to pack weights in {quantize} needs bitsandbytes: pip install "headscope[quantised]"'
        )
    else:
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


@pytest.mark.slow
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
