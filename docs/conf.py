"""The site of docs/, by Sphinx: `python -m sphinx -W docs site` builds it, without a network; needs the extra `docs`.

Sphinx makes the reference from the docstrings, MyST reads the same Markdown that stands here, myst-nb runs the
tutorials, and furo needs nothing from another host. While it is built, gallery.py writes the living files with the demo
weights, and links.py follows every link and anchor; a broken one is a warning, which -W makes an error.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
os.environ["PYTHONPATH"] = os.pathsep.join([*sys.path[1:2], os.environ.get("PYTHONPATH", "")])  # for the notebooks
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gallery  # noqa: E402
import links  # noqa: E402

import headscope  # noqa: E402

project = "headscope"
author = copyright = "The headscope developers"
version = release = headscope.__version__
language = "en-GB"

extensions = ["sphinx.ext.autodoc", "myst_nb"]
exclude_patterns = ["images/*", "conf.py"]
default_role = "literal"  # docstrings have names in single backquotes
highlight_language = "none"  # of blocks that name none: what a terminal shows
add_module_names = False
toc_object_entries_show_parents = "hide"

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # as they are written
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"

myst_heading_anchors = 4  # the anchors that GitHub gives
myst_enable_extensions = ["colon_fence"]
nb_execution_mode = "force"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = "remove"

html_theme = "furo"
html_title = f"headscope {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"

# Pages that stand beside docs/ in the repository, and here have a place of their own.
BESIDE = {"../SECURITY.md": "security.md", "../CHANGELOG.md": "changes.md"}


def inside(app: Sphinx, name: str, source: list[str]) -> None:
    """Links that leave docs/ lead to the same pages on the site."""
    source[0] = re.sub(r"\]\((\.\./[A-Z]+\.md)", lambda found: f"]({BESIDE[found[1]]}", source[0])


def plain(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Bars are lengths in docstrings, |z|, and not what reStructuredText puts in their place."""
    for n, line in enumerate(lines):
        if not line.startswith((" ", ">>>")):
            parts = enumerate(line.split("`"))
            lines[n] = "`".join(part if quoted % 2 else part.replace("|", r"\|") for quoted, part in parts)


# What the theme leaves out for those who use no pointer, or do not see: a heading's level, and a way into what scrolls.
ACCESSIBLE = {
    'role="heading"': 'role="heading" aria-level="2"',
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
}


def finished(app: Sphinx, problem: Exception | None) -> None:
    """Pages for the keyboard, living files beside them; then every link is followed."""
    if problem is None and app.builder.name == "html":
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text("utf-8")
            for lacking, whole in ACCESSIBLE.items():
                text = text.replace(lacking, whole)
            page.write_text(text, "utf-8")
        gallery.make(Path(app.outdir))
        for broken in links.look(Path(app.outdir)).broken:
            logging.getLogger(__name__).warning(broken)


def setup(app: Sphinx) -> None:
    """What is done beside Sphinx's own."""
    app.connect("source-read", inside)
    app.connect("autodoc-process-docstring", plain)
    app.connect("build-finished", finished)
