"""Which workers are asked for, and where."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass

from headscope.errors import InputError, cut
from headscope.question.given import number


@dataclass(frozen=True)
class Fleet:
    """`workers`, each with so many cores (`cpus`, which are its threads, too) and `gpus`; None: see `cluster.share_of`.

    `address`: of a Ray cluster that runs, "auto" for the one that this machine is in; None: one is begun on this
    machine alone, and ends with the run. InputError for what cannot be had.

    >>> Fleet(0)
    Traceback (most recent call last):
    headscope.errors.InputError: workers is 0; it is a number from 1.
    """

    workers: int | None = None
    cpus: int | None = None
    gpus: float | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        for name, given in (("workers", self.workers), ("cpus per worker", self.cpus)):
            if given is not None:
                number(given, range(1, sys.maxsize), f"{name} is {given!r}; it is a number from 1.")
        if self.gpus is not None and not (0 <= self.gpus < 1 or (1 <= self.gpus < math.inf and self.gpus % 1 == 0)):
            raise InputError(
                f"gpus per worker is {self.gpus!r}; it is a whole number from 0, or a share of one (.5: two workers "
                "on each, whose memory nothing keeps apart)."
            )
        if self.address not in (None, "auto") and not re.fullmatch(r"[^\s/]+:\d{1,5}", str(self.address), re.ASCII):
            raise InputError(
                f"the address is {cut(self.address)!r}; it is auto, or HOST:PORT of a Ray cluster that this machine is "
                "in: run the command on one of its machines."
            )
