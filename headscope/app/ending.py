"""How a server ends: nothing is made ahead any more, who waits is answered, and a second signal waits for nobody."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

_AT_ONCE = 1.0  # seconds that nobody needs a word about


class Ending(uvicorn.Server):
    """uvicorn's server; `ending` is called once it is to end, before it waits for what is being worked out."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer who waits, and end."""
        self._ending()
        said = asyncio.get_running_loop().call_later(_AT_ONCE, self._say)
        try:
            await super().shutdown(sockets)
        finally:
            said.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End; at a second signal at once: what is kept is whole or not there, however a process ends."""
        if self.should_exit:
            os._exit(128 + sig)
        super().handle_exit(sig, frame)

    def _say(self) -> None:
        if self.server_state.tasks:
            words = "headscope ends once what is being worked out is answered; Ctrl+C again ends it at once."
            print(words, file=sys.stderr, flush=True)
