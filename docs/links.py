"""Every link of a built site: those that lead nowhere, what is fetched from another host, and where readers may leave.

python docs/links.py site
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser fetches by itself, tag → attributes; where a reader has to press, another host is no harm.
FETCHED = {
    "img": ("src", "srcset"), "script": ("src",), "source": ("src", "srcset"), "iframe": ("src",), "video": ("src",),
    "audio": ("src",), "object": ("data",), "embed": ("src",), "image": ("href",), "use": ("href",),
}  # fmt: skip
OUTSIDE = re.compile(r"^(?:https?:)?//")
IN_STYLE = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


@dataclass
class Page(HTMLParser):
    """One page: its anchors, where it links to, and what it fetches."""

    text: str
    anchors: set[str] = field(default_factory=lambda: {"", "top"})
    links: list[str] = field(default_factory=list)
    fetches: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag names, links to or fetches."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and set(given.get("rel", "").split()) & {"stylesheet", "icon", "preload", "modulepreload"}:
            self.fetches.append(given.get("href", ""))
        for name in FETCHED.get(tag, ()):
            for one in given.get(name, "").split(",") if name == "srcset" else [given.get(name, "")]:
                self.fetches += one.split()[:1] if name == "srcset" else [one] * bool(one)
        self.fetches += in_style(given.get("style", ""))


@dataclass(frozen=True)
class Links:
    """What was found: sentences on links that lead nowhere or fetch from elsewhere; and the hosts' pages linked to."""

    broken: tuple[str, ...]
    outside: tuple[str, ...]


def in_style(text: str) -> list[str]:
    """What a style fetches."""
    return [one or other for one, other in IN_STYLE.findall(text)]


def look(site: Path) -> Links:
    """Follow every link of the pages and styles in a folder."""
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    broken, outside = [], set()
    for path, page in pages.items():
        said = path.relative_to(site)
        for link in page.links + page.fetches:
            parts = urlsplit(link)
            if OUTSIDE.match(link):
                outside.add(link)
                if link in page.fetches:
                    broken.append(f"{said} fetches {link}, from another host")
            elif not parts.scheme:
                there = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
                there = there / "index.html" if there.is_dir() else there
                if not there.is_file():
                    broken.append(f"{said} links to {link}, which is not there")
                elif there in pages and unquote(parts.fragment) not in pages[there].anchors:
                    broken.append(f"{said} links to {link}, whose anchor is not there")
    for path in sorted(site.rglob("*.css")):
        broken += [
            f"{path.relative_to(site)} fetches {one}, from another host"
            for one in in_style(path.read_text("utf-8"))
            if OUTSIDE.match(one)
        ]
    return Links(tuple(broken), tuple(sorted(outside)))


if __name__ == "__main__":
    found = look(Path(sys.argv[1]).resolve())
    print(*found.outside, *found.broken, sep="\n")
    sys.exit(bool(found.broken))
