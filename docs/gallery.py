"""The living files of docs/gallery.md, made with the demo weights as a user makes them: `result.save("x.html")`.

python docs/gallery.py FOLDER     into FOLDER/gallery/
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from headscope import Scope
from headscope.reading.answer import Answer
from headscope.reading.reading import Reading

TEXT = "Time flies like an arrow. Fruit flies like a banana."
TOKEN, LAYER = "banana", 1
FILES: dict[str, Callable[[Reading], Answer]] = {
    "nearest": lambda reading: reading.nearest(TOKEN, LAYER),
    "atlas": lambda reading: reading.atlas(TOKEN),
    "attention": lambda reading: reading.attention(TOKEN, LAYER),
    "written": lambda reading: reading.written(LAYER),
    "journey": lambda reading: reading.journey(),
    "map": lambda reading: reading.map(LAYER, head=1, size=600),
}


def make(site: Path) -> None:
    """Write every file of the gallery."""
    folder = site / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    reading = Scope.from_pretrained("demo").read(TEXT)
    for name, ask in FILES.items():
        ask(reading).save(folder / f"{name}.html")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
