"""The models that a server has open, and the one that is being opened."""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from headscope.app.api.choices import open_choices
from headscope.app.places import no_place
from headscope.errors import HeadscopeError
from headscope.keep.memory import Recent
from headscope.model.opening.available import available
from headscope.question import defaults
from headscope.question.stopping import stop_point
from headscope.scope import Scope

log = logging.getLogger(__name__)


class Open(Protocol):
    """Opens a model by name, and says what it is doing."""

    def __call__(self, name: str, progress: Callable[[str], None]) -> Scope: ...


class NotAllowed(Exception):
    """A model that this server does not open for a visitor."""


class NotFound(Exception):
    """A model that a request names, and that cannot be opened."""


class Busy(Exception):
    """Another model is being opened."""


@dataclass
class Opening:
    """How far a model is that a visitor asked for; `card` once it is open."""

    name: str
    step: str = "looking for the model"
    state: Literal["working", "failed", "ready"] = "working"
    problem: str | None = None
    card: dict[str, Any] | None = None


class Models:
    """The server's own model, and the few that were asked for by name.

    `open_model` None: no other model is opened. Only the line's one worker calls `get`.
    """

    def __init__(self, own: Scope, open_model: Open | None, most: int) -> None:
        self.own, self.name = own, own.card.name  # asked for at every request: a card looks at the model
        self._open, self._most = open_model, most
        self._others: Recent[Scope] = Recent(most, lambda scope: 1)
        self._lock = threading.Lock()
        self.opening: Opening | None = None

    @property
    def may_open(self) -> bool:
        return self._open is not None

    def key(self, name: str | None) -> str | None:
        """One name for each model: None is the server's own."""
        return None if name == self.name else name

    def known(self, name: str | None) -> Scope | None:
        """The model called `name` if it is open; nothing is opened for it."""
        key = self.key(name)
        return self.own if key is None else self._others.get(key)

    def names(self) -> list[str | None]:
        """The models that are open; None is the server's own."""
        return [None, *(str(key) for key, _ in self._others.items())]

    def get(self, name: str | None) -> Scope:
        """The model called `name`, opened if it must be; NotAllowed or NotFound where it is not to be had."""
        found = self.known(name)
        if found is None:
            assert name is not None  # the server's own is always open
            try:
                found = self._opener(name)(name, lambda step: stop_point())
                open_choices(found)  # or the page would have to work them out, and everybody wait
            except HeadscopeError as error:
                raise NotFound(_said(error, name)) from error
        return self._keep(self.key(name), found)

    def there(self, name: str | None) -> Scope:
        """The model called `name` where it is open; NotFound where it is not."""
        found = self.known(name)
        if found is None:
            raise NotFound(f"the model {name!r} is not open here: open it by POST /models.")
        return found

    def open(self, name: str) -> Opening:
        """Begin to open a model beside the work that goes on; NotAllowed where it may not be, Busy with another."""
        opener = self._opener(name)
        with self._lock:
            if self.opening is not None and self.opening.state == "working":
                if self.opening.name == name:
                    return self.opening
                raise Busy(f"{self.opening.name} is being opened: ask again when it is open.")
            self.opening = opening = Opening(name)
        threading.Thread(target=self._work, args=(opening, opener), name="headscope-open", daemon=True).start()
        return opening

    def _work(self, opening: Opening, opener: Open) -> None:
        def say(step: str) -> None:
            opening.step = step

        try:
            scope = self.known(opening.name) or opener(opening.name, say)
            say("encoding the vocabulary")
            open_choices(scope)
            scope.read(defaults.TEXT).nearest(defaults.TOKEN)
            self._keep(self.key(opening.name), scope)
            opening.card = dataclasses.asdict(scope.card)
            opening.state = "ready"
        except HeadscopeError as error:
            opening.state, opening.problem = "failed", _said(error, opening.name)
        except Exception as error:
            log.exception("opening a model failed")
            opening.state, opening.problem = "failed", f"headscope failed ({type(error).__name__}); its log says where."

    def _opener(self, name: str) -> Open:
        if self._open is None:
            raise NotAllowed(
                f"this server opens no other model than {self.name}; it was asked for {name!r}. "
                "Whoever runs it can allow that with --allow-models."
            )
        why = no_place(name)
        if why is not None:
            raise NotAllowed(f"{name!r} is {why}: a model is a Hub id or a directory of the server's own disks.")
        return self._open

    def _keep(self, key: str | None, scope: Scope) -> Scope:
        """Keep a model among the few that were used last."""
        if key is not None and self._most:
            self._others.put(key, scope)
        return scope

    def listed(self) -> dict[str, Any]:
        """What is open, and what could be opened without the network."""
        scopes = [self.own, *(scope for _, scope in self._others.items())]
        return {
            "open": [dataclasses.asdict(scope.card) for scope in scopes],
            "available": [{"name": entry.name, "where": entry.where, "bytes": entry.nbytes} for entry in available()]
            if self.may_open
            else [],
            "may_open": self.may_open,
        }


def _said(error: HeadscopeError, name: str) -> str:
    """What was wrong with a model, by the name that it was asked for: where that lies is the server's own business."""
    return str(error).replace(os.path.realpath(os.path.expanduser(name)), name)
