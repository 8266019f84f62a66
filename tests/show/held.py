"""What a file that is alive holds."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any


def held(html: str) -> dict[str, Any]:
    """Its data: what it says of itself, and its answers, packed."""
    data: dict[str, Any] = json.loads(html.split('id="held">')[1].split("</script>")[0])
    return data


def answers(html: str) -> dict[str, Any]:
    """Every answer that it holds, by its key."""
    packed = held(html)["packed"].values()
    return {key: one for part in packed for key, one in json.loads(gzip.decompress(base64.b64decode(part))).items()}
