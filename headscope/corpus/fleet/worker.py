"""A worker: a process that opens what it measures with once, and then measures one piece after another.

Nothing heavy is imported at this file's head: what torch is told by its environment must be there before it is loaded.
"""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, Protocol, TypeVar

from headscope.cores.environment import share_the_cores
from headscope.errors import HeadscopeError, InputError, ModelError, clause

T_contra = TypeVar("T_contra", bound=Hashable, contravariant=True)
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Kind = Literal["input", "model", "other", "broken"]
_KINDS: dict[Kind, type[HeadscopeError]] = {"input": InputError, "model": ModelError, "other": HeadscopeError}


class Measuring(Protocol[T_contra, R_co]):
    """What a worker has open."""

    def measure(self, piece: T_contra, patience: float) -> R_co | None:
        """What is found of a piece, to be sent back; None: another run does it still after so many seconds.

        Who keeps it where all machines see it says only that it is there.
        """
        ...


class Order(Protocol[T_contra, R_co]):
    """What a worker is to open; it is pickled and sent to each."""

    def open(self) -> Measuring[T_contra, R_co]: ...


@dataclass(frozen=True)
class Failure:
    """Why something was not done: `kind` by its error's class; "broken": the worker may be, and is ended."""

    kind: Kind
    told: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """That of an error."""
        if not isinstance(error, HeadscopeError):
            return cls("broken", f"{type(error).__name__}: {clause(error)}")
        return cls(next((kind for kind, known in _KINDS.items() if isinstance(error, known)), "other"), str(error))

    def error(self) -> HeadscopeError:
        """The same as an error, to be raised elsewhere."""
        return _KINDS.get(self.kind, HeadscopeError)(self.told)


@dataclass(frozen=True)
class WorkerReport:
    """A worker's host and process, and why it cannot work, if so."""

    host: str
    pid: int
    fault: Failure | None = None


@dataclass(frozen=True)
class PieceResult(Generic[R]):
    """What was found of a piece; where it was nothing, why, if it is a fault and no other run does it."""

    found: R | None
    fault: Failure | None = None


class Worker:
    """The actor. `environment`: variables that are set before torch is loaded, as is how many threads it computes with.

    `directory`: where the asker stands, and so the worker where there is such a one.
    """

    def __init__(self, environment: Mapping[str, str], threads: int, directory: str) -> None:
        os.environ.update(environment, OMP_NUM_THREADS=str(threads))
        share_the_cores(os.environ)
        if Path(directory).is_dir():
            os.chdir(directory)
        self._measuring: Measuring[Hashable, object] | None = None

    def open(self, order: bytes) -> WorkerReport:
        """Open what an order, pickled, says."""
        fault = None
        self._measuring = None  # what it holds is let go first
        try:
            asked: Order[Hashable, object] = pickle.loads(order)
            self._measuring = asked.open()
        except Exception as error:  # whatever it is: the asker decides what becomes of it
            fault = Failure.of(error)
        return WorkerReport(socket.gethostname(), os.getpid(), fault)

    def measure(self, piece: Hashable, patience: float) -> PieceResult[object]:
        """Measure a piece with what is open."""
        assert self._measuring is not None
        try:
            return PieceResult(self._measuring.measure(piece, patience))
        except Exception as error:
            return PieceResult(None, Failure.of(error))
