"""Orders to workers that open nothing, and do what is asked for in one of a few bad ways."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from headscope.errors import InputError


@dataclass(frozen=True)
class Toy:
    """Writes a file for each piece, with its process in it; `fails`: how, `most` times (each leaves a mark)."""

    directory: Path
    fails: str = ""
    most: int = 10**6

    def open(self) -> Toy:
        if self.fails == "opening" and self._marked():
            raise InputError("there is no such model here.")
        return self

    def measure(self, piece: int, patience: float) -> int | None:
        if self.fails == "device" and self._marked():
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with …")
        if self.fails == "poison" and piece == 2:
            os._exit(9)
        if self.fails == "sentence" and piece == 2:
            raise InputError("the disk is full.")
        if self.fails == "elsewhere" and piece == 2 and not patience:
            return None
        with (self.directory / f"piece-{piece}").open("x") as file:
            file.write(str(os.getpid()))
        return piece

    def _marked(self) -> bool:
        """Leave a mark with this process in it, unless there are enough."""
        for number in range(min(self.most, 100)):
            try:
                with (self.directory / f"mark-{number}").open("x") as file:
                    file.write(str(os.getpid()))
            except FileExistsError:
                continue
            return True
        return False
