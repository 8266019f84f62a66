"""The page's words: what every control and table means, and how each view is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS: dict[str, Any] = json.loads((Path(__file__).parent / "words.json").read_bytes())
