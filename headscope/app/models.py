"""The models that a server has open."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from headscope.errors import HeadscopeError
from headscope.model.available import available
from headscope.scope import Scope

Open = Callable[[str], Scope]


class NotAllowed(Exception):
    """A model that this server does not open for a visitor."""


class NotFound(Exception):
    """A model that a request names, and that cannot be opened."""


class Models:
    """The server's own model, and the few that requests asked for by name.

    `open_model` None: no other model is opened. Only the line's one worker calls `get`.
    """

    def __init__(self, own: Scope, open_model: Open | None, most: int) -> None:
        self.own = own
        self._open, self._most = open_model, most
        self._others: OrderedDict[str, Scope] = OrderedDict()

    @property
    def may_open(self) -> bool:
        return self._open is not None

    def key(self, name: str | None) -> str | None:
        """One name for each model: None is the server's own."""
        return None if name == self.own.card.name else name

    def get(self, name: str | None) -> Scope:
        """The model called `name`, opened if it must be; NotAllowed or NotFound where it is not to be had."""
        key = self.key(name)
        if key is None:
            return self.own
        if key not in self._others:
            if self._open is None:
                raise NotAllowed(
                    f"this server opens no other model than {self.own.card.name}; it was asked for {key!r}. "
                    "Whoever runs it can allow that with --allow-models."
                )
            try:
                self._others[key] = self._open(key)
            except HeadscopeError as error:
                raise NotFound(str(error)) from error
            while len(self._others) > self._most:
                self._others.popitem(last=False)
        self._others.move_to_end(key)
        return self._others[key]

    def listed(self) -> dict[str, Any]:
        """What is open, and what could be opened without the network."""
        scopes = [self.own, *self._others.values()]
        return {
            "open": [dataclasses.asdict(scope.card) for scope in scopes],
            "available": [{"name": entry.name, "where": entry.where, "bytes": entry.nbytes} for entry in available()]
            if self.may_open
            else [],
            "may_open": self.may_open,
        }
