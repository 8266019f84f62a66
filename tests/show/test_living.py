"""A file that is alive: what is in it, what it says of that, and that nothing in it can act but its own script."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from headscope.errors import InputError
from headscope.show import living
from headscope.show.html import tables
from headscope.show.living import LivingPart, Room, SheetPlace, Told, document
from headscope.show.modules import RENDERERS, joined, style
from headscope.show.sheet import Cell, Row, Sheet
from tests.show import sheets
from tests.show.held import answers, held

MODULES = sorted(path.stem for path in RENDERERS.glob("*.js"))
STATIC = Path(living.__file__).parents[1] / "app" / "static"
TOKENS = tuple(Cell(f"t{n}", id=100 + n, position=n) for n in range(6))


def one(place: SheetPlace) -> list[Sheet]:
    """A sheet that says where it is."""
    return [Sheet("one", f"at {tuple(place)}", ("a",), (Row(Cell("1"), (Cell("x"),)),), notes=("Noted.",))]


def room(head: int | None = None, most: int = 100) -> Room:
    return Room(TOKENS, layers=3, heads=2, start=SheetPlace(2, 1, head), most=most)


def says(html: str) -> str:
    return unescape(re.search(r"This file holds[^<]*", html)[0])  # type: ignore[index]


def test_it_begins_with_the_tables_and_holds_every_token_and_layer() -> None:
    html = document(Told("Title <b>", "The text.", ("A fact.",)), [LivingPart(one, ("token", "layer"))], room())
    assert html.startswith("<!doctype html>")
    start = [replace(sheet, notes=()) for sheet in one(SheetPlace(2, 1))]
    before_any_script = html.split("<script")[0]
    assert tables(start) in before_any_script
    assert "Title &lt;b&gt;" in html
    assert "<p>Noted.</p>" in before_any_script
    assert answers(html).keys() == {f"0.{token}.{layer}" for token in range(6) for layer in range(3)}
    assert "at (4, 2, None)" in answers(html)["0.4.2"]["html"]
    assert says(html) == "This file holds all 6 tokens in all 3 layers (0.1 MB of answers)."


def test_no_rule_is_of_what_only_the_page_has() -> None:
    """What names nothing but what the page's own HTML has, and no module of a file, stands in the page's own style."""
    page = (STATIC / "index.html").read_text("utf-8")
    of_page = {name for names in re.findall(r'\b(?:id|class)="([^"]+)"', page) for name in names.split()}
    of_files = set(re.findall(r"[\w-]+", joined("living") + Path(living.__file__).read_text("utf-8")))
    only = of_page - of_files
    assert {"controls", "tabs", "verdict-line"} < only
    rules = re.findall(r"([^{}]+)\{[^{}]*\}", style("style"))
    of_the_page = [
        rule for rule in rules if all(only & set(re.findall(r"[.#]([\w-]+)", one)) for one in rule.split(","))
    ]
    assert of_the_page == []


def test_parts_follow_each_what_they_can() -> None:
    parts = [LivingPart(one, ("token",)), LivingPart(one), LivingPart(one, ("layer", "head"))]
    html = document(Told("Title"), parts, room(head=0))
    keys = {f"0.{n}" for n in range(6)} | {"1"} | {f"2.{layer}.{head}" for layer in range(3) for head in range(2)}
    assert answers(html).keys() == keys
    assert held(html)["parts"] == [["token"], [], ["layer", "head"]]


def test_what_cannot_be_moved_offers_no_choice() -> None:
    html = document(Told("Title"), [LivingPart(one)], Room())
    assert held(html)["tokens"] == held(html)["layers"] == []
    assert says(html) == "This file holds these tables; other tokens and layers are not in it."


@pytest.mark.parametrize(("most", "tokens", "layers"), [(1, [2], [1]), (3, [2], [0, 1, 2]), (9, [1, 2, 3], [0, 1, 2])])
def test_what_would_cost_too_much_is_left_out_the_farthest_first(
    most: int, tokens: list[int], layers: list[int]
) -> None:
    html = document(Told("Title"), [LivingPart(one, ("token", "layer"))], room(most=most))
    assert [token["position"] for token in held(html)["tokens"]] == tokens
    assert held(html)["layers"] == layers
    assert answers(html).keys() == {f"0.{token}.{layer}" for token in tokens for layer in layers}
    assert f"{len(tokens)} of 6 tokens (positions {tokens[0]} to {tokens[-1]})" in says(html)
    missing = "tokens and layers" if most == 1 else "tokens"
    assert says(html).endswith(f"The other {missing} are not in it.")


def test_data_stays_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = held(document(Told("Title"), [LivingPart(one, ("token", "layer"))], room()))["packed"]
    each = max(map(len, whole.values()))
    monkeypatch.setattr(living, "MOST", len(whole[""]) + 3 * each + 8)
    some = held(document(Told("Title"), [LivingPart(one, ("token", "layer"))], room()))
    assert [token["position"] for token in some["tokens"]] == [1, 2, 3]
    assert sum(map(len, some["packed"].values())) <= living.MOST
    monkeypatch.setattr(living, "MOST", len(whole["2"]) - 1)
    least = held(document(Told("Title"), [LivingPart(one, ("token", "layer"))], room()))
    assert [token["position"] for token in least["tokens"]] == [2]
    assert least["layers"] == [1]


def test_a_model_that_answers_no_more_leaves_a_file_of_what_is_there() -> None:
    def only(place: SheetPlace) -> list[Sheet]:
        if place.token != 2:
            raise InputError("the weights have changed.")
        return one(place)

    html = document(Told("Title"), [LivingPart(only, ("token",))], room())
    assert [token["position"] for token in held(html)["tokens"]] == [2]


def test_its_policy_lets_nothing_run_but_its_script_and_names_no_other_host() -> None:
    html = document(Told("Title"), [LivingPart(one, ("token",))], room())
    script = html.split('<script type="module">')[1].split("</script>")[0]
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]  # type: ignore[index]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith(f"script-src 'sha256-{digest}'")
    assert not re.search(r"https?://|//cdn", html.replace("http://www.w3.org/2000/svg", ""))


def test_what_plots_has_the_library_within_and_nothing_else_has() -> None:
    pytest.importorskip("plotly", reason="plots need plotly (extra: app)")
    still = document(Told("Title"), [LivingPart(one, drawing="<svg></svg>")], Room())
    plots = document(Told("Title"), [LivingPart(one, drawing="<svg></svg>", plot={"kind": "map"})], Room())
    assert len(still) < 200_000 < 4_000_000 < len(plots)
    assert answers(plots)["plot.0"] == {"kind": "map"}
    assert "<svg></svg>" in plots, "for where no script runs"


HOSTILE = [sheets.HOSTILE, "</script><!--<script>", "\u2028\u2029", "\ud83d", "\u202eabc", "שלום", "]]>", "${x}`"]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_texts_are_data(text: str) -> None:
    def mean(place: SheetPlace) -> list[Sheet]:
        return [Sheet("mean", text, (text,), (Row(Cell(text), (Cell(text, says=text),)),), notes=(text,))]

    tokens = (Cell(text, id=1, position=0),)
    html = document(Told(text, text, (text,), text), [LivingPart(mean, ("token",))], Room(tokens, 1, 1))
    html.encode("utf-8", "backslashreplace")
    parts = re.split(r"</?script[^>]*>", html)
    assert len(parts) == 5, "two scripts, and none else"
    assert html.count("<!--") == 0
    clean = text.encode("utf-8", "backslashreplace").decode()
    assert held(html)["tokens"][0]["label"] == clean
    assert answers(html)["0.0"]["notes"] == [clean]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_stand_in_a_file(name: str, tmp_path: Path) -> None:
    script = joined(name)
    assert not re.search(r"^(import|export) ", script, re.M)
    assert "</" not in script
    assert script.count(f"const {name}_js =") == 1
    node = shutil.which("node")
    if node is not None:
        file = tmp_path / "joined.mjs"
        file.write_text(script)
        checked = subprocess.run([node, "--check", str(file)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr


def test_modules_stand_once_each_behind_those_that_they_import() -> None:
    script = joined("living")
    order = re.findall(r"^const (\w+)_js = ", script, re.M)
    assert len(order) == len(set(order))
    assert order[-1] == "living"
    assert order.index("dom") < order.index("sheets")
