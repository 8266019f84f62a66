"""The ES modules that render sheets and plots, and their style: of the page, and of files that are alive.

A file has no server to fetch modules from, and browsers refuse them from disk: there they are joined into one.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

RENDERERS = Path(__file__).parent / "static"
_IMPORT = re.compile(r'^import \{ (?P<names>[^}]+) \} from "\./(?P<file>[\w]+)\.js";\n', re.M)
_EXPORT = re.compile(r"^export (?P<kind>const|class|function|async function) (?P<name>\w+)", re.M)


@cache
def joined(entry: str) -> str:
    """The module and those that it imports as one script, each in a function of its own; it ends no element."""
    order: list[str] = []
    _collect(entry, order)
    return "".join(_wrapped(name) for name in order).replace("</", "<\\/")


def plotly() -> Path | None:
    """The folder of the package plotly with its plotly.min.js; None where it is not installed. It is not imported."""
    found = find_spec("plotly")
    places = (found and found.submodule_search_locations) or []
    return next((Path(place) / "package_data" for place in places), None)


@cache
def style(name: str) -> str:
    """A style as it stands in a file, without its comments."""
    return re.sub(r"/\*.*?\*/\n?", "", (RENDERERS / f"{name}.css").read_text("utf-8"), flags=re.S)


def _collect(name: str, order: list[str]) -> None:
    for found in _IMPORT.finditer(_source(name)):
        if found["file"] not in order:
            _collect(found["file"], order)
    order.append(name)


def _wrapped(name: str) -> str:
    source = _IMPORT.sub(lambda found: f"const {{ {_renamed(found['names'])} }} = {found['file']}_js;\n", _source(name))
    exports = ", ".join(found["name"] for found in _EXPORT.finditer(source))
    return f"const {name}_js = (() => {{\n{_EXPORT.sub(_bare, source)}return {{ {exports} }};\n}})();\n"


def _source(name: str) -> str:
    return (RENDERERS / f"{name}.js").read_text("utf-8")


def _renamed(names: str) -> str:
    return names.replace(" as ", ": ")


def _bare(found: re.Match[str]) -> str:
    return f"{found['kind']} {found['name']}"
