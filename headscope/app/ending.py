"""How a server ends: what is made ahead is stopped, who waits is answered within seconds, a second signal ends all."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

_AT_ONCE = 1.0  # seconds that nobody needs a word about
_SOON = 4.0  # after which what is being worked out is stopped
_LAST = 10.0  # after which nobody is waited for who sends no whole request, or reads no answer
_SAID = (
    f"headscope ends once what is being worked out is answered, or stopped after {_SOON:.0f} seconds; "
    "Ctrl+C again ends it at once."
)


class Ending(uvicorn.Server):
    """uvicorn's server; `ending` is called once it is to end, and `over` where what is asked then takes too long."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None], over: Callable[[], None]) -> None:
        super().__init__(config)
        self._ending, self._over = ending, over

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer who waits, for some seconds, and end."""
        self._ending()
        steps = ((_AT_ONCE, self._say), (_SOON, self._over), (_LAST, self._leave))
        loop = asyncio.get_running_loop()
        coming = [loop.call_later(seconds, step) for seconds, step in steps]
        try:
            await super().shutdown(sockets)
        finally:
            for step in coming:
                step.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End; at a second signal at once: what is kept is whole or not there, however a process ends."""
        if self.should_exit:
            os._exit(128 + sig)
        super().handle_exit(sig, frame)

    def _say(self) -> None:
        if self.server_state.tasks:
            print(_SAID, file=sys.stderr, flush=True)

    def _leave(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
