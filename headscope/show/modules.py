"""The ES modules that render sheets and plots, and their style: of the page, and of files that are alive."""

from __future__ import annotations

from pathlib import Path

RENDERERS = Path(__file__).parent / "static"
