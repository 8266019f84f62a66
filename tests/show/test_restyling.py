"""The page's styles: what changes beside a table does not have the style of its every cell worked out again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headscope.show.modules import RENDERERS

STYLES = sorted([*RENDERERS.glob("*.css"), *(RENDERERS.parents[1] / "app" / "static").glob("*.css")])
_RULE = re.compile(r"([^{}]+)\{[^{}]*\}")
# After a sibling that only its element's name tells, which any element that comes or goes may be; then anything in it.
_BESIDE = re.compile(r"(?:^|[\s>(,])[a-z]+ [+~] (?:\*|[a-z]+[^,]*[ >] ?[*:])")
# An attribute that any element may have, then anything.
_STATE = re.compile(r"\[aria-[a-z]+(?:=[^]]*)?\](?: > | )(?:\*|:(?:first|last|nth|only|not))")


def selectors(style: str) -> list[str]:
    plain = re.sub(r"/\*.*?\*/", "", style, flags=re.S)
    plain = re.sub(r"@(?:media|container|supports|layer)[^{]*\{", "", plain)
    return [" ".join(found[1].split()) for found in _RULE.finditer(plain)]


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.name)
def test_no_rule_has_all_that_follows_any_element_styled_anew(path: Path) -> None:
    found = selectors(path.read_text("utf-8"))
    assert found
    assert [one for one in found if _BESIDE.search(one) or _STATE.search(one)] == []


@pytest.mark.parametrize(
    "selector",
    [
        ".side legend + *",
        '.side [data-control="candidates"] legend + *',
        ".versus thead tr + tr:not(.usually) > *",
        ".versus thead tr + tr > :first-child",
        '.verdict-line[aria-busy="true"] > :first-child',
    ],
)
def test_such_a_rule_is_found(selector: str) -> None:
    assert _BESIDE.search(selector) or _STATE.search(selector)
