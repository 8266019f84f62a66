"""The API keeps to its own OpenAPI description, whatever is asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import zoo
from hypothesis import HealthCheck, given, settings

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.routes import PREFIX
from tests.app.serving import Server

ROUTES = (
    "health",
    "models",
    "models/opening",
    "read",
    "nearest",
    "nearest_positions",
    "background",
    "why",
    "worked",
    "compare",
    "atlas",
    "visit",
    "portrait",
    "removed",
    "survey/test",
    "standing",
    "survey/figures",
    "atlas/layers",
    "attention",
    "written",
    "journey",
    "mixing",
    "glance",
    "effects",
    "map",
    "map/{key}",
    "map/{key}/points",
    "isolated",
    "ahead",
    "survey",
    "usual",
    "take",
    "take/{name}",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The page of a tiny model, all of whose tokens were read alone: no question sets it to work for long."""
    scope = Scope.from_model(*zoo.build("bert"))
    scope.isolate()
    with Server(create_app(scope)) as running:
        yield running


@pytest.fixture(scope="module")
def operations(server: Server) -> dict[str, Any]:
    """What is described, by its path; of several methods the first."""
    schemathesis = pytest.importorskip("schemathesis")
    description = schemathesis.openapi.from_url(f"{server.address}{PREFIX}/openapi.json")
    found = [operation.ok() for operation in description.get_all_operations()]
    return {one.path: one for one in reversed(found)}


@pytest.mark.parametrize(
    "route",
    [pytest.param(route, marks=[pytest.mark.slow(cases=8)] * (route not in ("nearest", "health"))) for route in ROUTES],
)
def test_answers_are_as_described(server: Server, operations: dict[str, Any], route: str) -> None:
    from schemathesis import checks
    from schemathesis.specs.openapi import checks as described

    operation = operations[f"{PREFIX}/{route}"]

    @given(case=operation.as_strategy())
    @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def check(case: Any) -> None:
        if route == "map" and isinstance(case.body, dict) and case.body.get("method", "tsne") == "tsne":
            case.body["method"] = "pca"  # two dozen t-SNEs of every size would keep the server busy for long
        case.call_and_validate(
            checks=[
                checks.not_a_server_error,
                described.status_code_conformance,
                described.content_type_conformance,
                described.response_schema_conformance,
            ],
            timeout=60,
        )

    try:
        check()
    finally:  # a journey that asks for ranks read alone has set the server to work too
        httpx.delete(f"{server.address}{PREFIX}/isolated?what=streams", timeout=60).raise_for_status()
        httpx.post(f"{server.address}{PREFIX}/read", json={"text": f"after {route}"}, timeout=60).raise_for_status()


def test_every_route_is_described_with_examples(server: Server) -> None:
    described = httpx.get(f"{server.address}{PREFIX}/openapi.json").json()
    assert set(described["paths"]) == {f"{PREFIX}/{name}" for name in ROUTES}
    for path, methods in described["paths"].items():
        for operation in methods.values():
            assert operation["summary"], path
            problem = operation["responses"]["422"]["content"]["application/json"]["schema"]
            assert problem == {"$ref": "#/components/schemas/Problem"}
            if "requestBody" in operation:
                assert operation["requestBody"]["content"]["application/json"]["examples"]
