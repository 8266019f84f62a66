"""Requests that do not come to an end: a connection is given so long to send one, and is closed."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def protocol(seconds: float = 30) -> type[H11Protocol]:
    """uvicorn's protocol, with a limit that it has none of: from a request's first byte, or the connection's begin, to
    the end of what is sent. Between requests its own, shorter limit holds."""

    class Patient(H11Protocol):
        _limit: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._look()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._look()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._look()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._forget()

        def _unsupported_upgrade_warning(self) -> None:
            """Another protocol that is offered is passed over, as HTTP allows; the log is not for that."""

        def _look(self) -> None:
            if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
                self._forget()  # it is whole
            elif self._limit is None:
                self._limit = self.loop.call_later(seconds, self.transport.abort)

        def _forget(self) -> None:
            if self._limit is not None:
                self._limit.cancel()
                self._limit = None

    return Patient
