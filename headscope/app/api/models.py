"""The models that a server has open, and the one that is being opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from headscope.app.api.answers import ModelsRecord, OpeningRecord
from headscope.app.api.choices import open_choices
from headscope.app.api.jobs import Job
from headscope.app.places import no_place
from headscope.cores import beside
from headscope.errors import HeadscopeError
from headscope.keep.memory import Recent
from headscope.model.card import Card
from headscope.model.opening.adapters import BOTH
from headscope.model.opening.available import available
from headscope.model.opening.default import DEMO, DEMO_NAME, DEMO_SHA256
from headscope.question import defaults
from headscope.question.model_choice import ModelChoice
from headscope.question.stopping import stop_point
from headscope.scope import Scope


class Open(Protocol):
    """Opens a model by name, and says what it is doing."""

    def __call__(self, name: str, progress: Callable[[str], None]) -> Scope: ...


class NotAllowed(Exception):
    """A model that this server does not open for a visitor."""


def check_place(name: str, what: str) -> None:
    """NotAllowed for a name that is never looked up, see `no_place`; `what` says what may be named."""
    why = no_place(name)
    if why is not None:
        raise NotAllowed(f"{name!r} is {why}: {what} of the server's own disks.")


class NotFound(HeadscopeError):
    """A model that a request names, and that cannot be opened."""


class Busy(Exception):
    """Another model is being opened."""


@dataclass
class Opening:
    """A model that a visitor asked for, and the work of opening it; `card` once it is open."""

    name: str
    job: Job
    card: Card | None = None

    def record(self) -> OpeningRecord:
        """For JSON."""
        return {**self.job.record(), "name": self.name, "card": self.card}


class Models:
    """The server's own model, and the few that were asked for by name.

    `open_model` None: no other model is opened. Only the line's one worker calls `get`.
    """

    def __init__(self, own: Scope, open_model: Open | None, most: int) -> None:
        card = own.card
        self.own, self.name = own, card.asked_for  # asked for at every request: a card looks at the model
        demo = (self.name, card.revision, card.weights_sha256) == (DEMO_NAME, None, DEMO_SHA256)
        self._names = {self.name, DEMO} if demo else {self.name}
        self._open, self._most = open_model, most
        self._others: Recent[Scope] = Recent(most, lambda scope: 1)
        self._lock = threading.Lock()
        self._opening: Opening | None = None

    @property
    def opening(self) -> OpeningRecord | None:
        """How far the model is that was asked for last."""
        return None if self._opening is None else self._opening.record()

    @property
    def may_open(self) -> bool:
        return self._open is not None

    def key(self, name: str | None) -> str | None:
        """One name for each model: None is the server's own."""
        return None if name in self._names else name

    def known(self, name: str | None) -> Scope | None:
        """The model called `name` if it is open; nothing is opened for it."""
        key = self.key(name)
        return self.own if key is None else self._others.get(key)

    def names(self) -> list[str | None]:
        """The models that are open; None is the server's own."""
        return [None, *(str(key) for key, _ in self._others.items())]

    def get(self, name: str | None) -> Scope:
        """The model called `name`, opened if it must be; NotAllowed or NotFound where it is not to be had."""
        scope = self.known(name)
        if scope is None:
            assert name is not None  # the server's own is always open
            opener = self._opener(name)
            with _told_by(name):
                scope = opener(name, lambda step: stop_point())
                open_choices(scope)  # or the page would have to work them out, and everybody wait
        return self._keep(self.key(name), scope)

    def there(self, name: str | None) -> Scope:
        """The model called `name` where it is open; NotFound where it is not."""
        scope = self.known(name)
        if scope is None:
            raise NotFound(f"the model {name!r} is not open here: open it by POST /models.")
        return scope

    def open(self, name: str) -> OpeningRecord:
        """Begin to open a model beside the work that goes on; NotAllowed where it may not be, Busy with another."""
        opener = self._opener(name)
        with self._lock:
            going = self._opening
            if going is not None and going.job.state == "working":
                if going.name == name:
                    return going.record()
                raise Busy(f"{going.name} is being opened: ask again when it is open.")
            self._opening = opening = Opening(name, Job())
            opening.job.tell(step="looking for the model")
        beside.start(partial(self._work, opening, opener), "headscope-open")
        return opening.record()

    def _work(self, opening: Opening, opener: Open) -> None:
        name, job = opening.name, opening.job

        def tell(step: str) -> None:
            stop_point()
            job.tell(step=step)

        with job.carried(), _told_by(name):
            scope = self.known(name) or opener(name, tell)
            tell("encoding the vocabulary")
            open_choices(scope)
            scope.read(defaults.TEXT).nearest(defaults.TOKEN)
            self._keep(self.key(name), scope)
            opening.card = scope.card

    def _opener(self, name: str) -> Open:
        if self._open is None:
            raise NotAllowed(
                f"this server opens no other model than {self.name}; it was asked for {name!r}. "
                "Whoever runs it can allow that where it is started."
            )
        for part in _places(name):
            check_place(part, "a model is a Hub id or a directory")
        return self._open

    def _keep(self, key: str | None, scope: Scope) -> Scope:
        """Keep a model among the few that were used last."""
        if key is not None and self._most:
            self._others.put(key, scope)
        return scope

    def listed(self) -> ModelsRecord:
        """What is open, and what else could be opened without the network."""
        others = [(str(name), scope) for name, scope in self._others.items()]
        there = self._names.union(name for name, _ in others)
        entries = [entry for entry in available() if entry.name not in there] if self.may_open else []
        return {
            "open": [self.own.card, *(scope.card for _, scope in others)],
            "names": [self.name, *(name for name, _ in others)],
            "also": sorted(self._names - {self.name}),
            "available": [{"name": entry.name, "where": entry.where, "bytes": entry.nbytes} for entry in entries],
            "may_open": self.may_open,
        }


@contextmanager
def _told_by(name: str) -> Iterator[None]:
    """What is wrong with a model is told by the name that it was asked for: where it lies is the server's business."""
    try:
        yield
    except HeadscopeError as error:
        said = str(error).replace(BOTH, "its base as the model, and this directory as the adapter")
        for part in _places(name):
            said = said.replace(os.path.realpath(os.path.expanduser(part)), part)
        raise NotFound(said) from error


def _places(name: str) -> list[str]:
    """What is looked up for a name: the model, and the adapter that is put onto it."""
    asked = ModelChoice.of_spelling(name).name or ""
    return [name, *(part.strip() for part in asked.split(" + ") if part.strip())]
