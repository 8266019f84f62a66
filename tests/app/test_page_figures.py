"""The view Survey of models of many layers and heads: readable, and nothing in it scrolls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="surveys are not installed (extra: survey)")

import pyarrow as pa
import pyarrow.parquet as pq
import zoo

from headscope import Scope
from headscope.app import create_app
from headscope.keep.checksums import CHECKSUMS, seal
from headscope.keep.record import identity, sealed
from headscope.studies.tested.question import place_of
from headscope.studies.tested.there import SENT_ALONG
from tests.app.browsers import Browser
from tests.app.serving import Server

TABLES = ("statistics.parquet", "contrasts.parquet")


def made_up(scope: Scope, place: Path) -> None:
    """Figures for every head of a model: those of one of the demo weights, over and over."""
    (like,) = SENT_ALONG.iterdir()
    place.mkdir(parents=True)
    card = scope.card
    for name in TABLES:
        table = pq.read_table(like / name)
        rows: list[dict[str, Any]] = [
            row for row in table.to_pylist() if row["layer"] == 1 and row["head"] in (1, None)
        ]
        heads: list[int | None] = [None, *range(card.heads)]
        more = [
            row | {"layer": layer, "head": head}
            for layer in range(card.layers)
            for head in heads
            for row in rows
            if (row["head"] is None) == (head is None)
        ]
        pq.write_table(pa.Table.from_pylist(more, table.schema), place / name)
    manifest = json.loads((like / "manifest.json").read_text())
    manifest["model"] |= {"weights_sha256": card.weights_sha256, "layers": card.layers, "heads": card.heads}
    (place / "manifest.json").write_text(json.dumps(sealed(manifest)))
    seal(place, TABLES, {"figures_of": identity(manifest)}, place / CHECKSUMS)


@pytest.mark.long
@pytest.mark.parametrize(("layers", "heads"), [(30, 9), (48, 25)])
def test_all_heads_are_seen_at_once(
    browser: Browser, layers: int, heads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    shape = {"num_hidden_layers": layers, "num_attention_heads": heads, "hidden_size": 4 * heads}
    scope = Scope.from_model(*zoo.build("bert", shape=shape))
    made_up(scope, place_of(scope))
    with Server(create_app(scope, tested=True)) as running:
        for width, smallest in ((1440, 11), (390, 6)):
            browser.resize(width, 900)
            browser.open(f"{running.address}/?view=survey")
            cells = "[...document.querySelectorAll('#survey .figures tbody td')]"
            browser.wait(f"{cells}.length === {layers * heads}")
            assert browser.js("document.documentElement.scrollWidth <= innerWidth")
            assert browser.js(
                "[...document.querySelectorAll('#survey .hs-scroll')].every((one) => "
                "one.scrollWidth <= one.clientWidth + 1 && one.scrollHeight <= one.clientHeight + 1)"
            )
            assert browser.js(f"{cells}.every((cell) => cell.scrollWidth <= cell.clientWidth + 1)")
            assert browser.js(f"parseFloat(getComputedStyle({cells}[0]).fontSize)") >= smallest
