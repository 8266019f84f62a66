"""Whom a server lets in: its names, the sites that may show it in a frame, and its prefix behind a proxy."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence

from headscope.errors import InputError

_NETLOC = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:(?P<port>\d{1,5}))?")
_ORIGIN = re.compile(rf"https?://{_NETLOC.pattern}")
_ROOT = re.compile(r"(/[A-Za-z0-9._~@:-]+)+")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Door:
    """The names and origins of a server that listens on `host`.

    `hosts`: further names that it answers to, each with a port (then only with that) or without one. `frames`: origins
    whose pages may show it in a frame. `root_path`: the prefix under which a proxy passes it on.
    Raises InputError where one of them is none.
    """

    def __init__(
        self, host: str = "127.0.0.1", hosts: Sequence[str] = (), frames: Sequence[str] = (), root_path: str = ""
    ) -> None:
        self._loopback = is_loopback(host)
        own = {"localhost"} if self._loopback else {"localhost", host, socket.gethostname(), socket.getfqdn()}
        self._names = {name.lower() for name in own}
        self._hosts = {_host(name) for name in hosts}
        self.frames = tuple(_origin(frame) for frame in frames)
        self.root_path = _root(root_path)

    def knows(self, host: str) -> bool:
        """Whether the server goes by the name in a request's Host."""
        found = _NETLOC.fullmatch(host.lower())
        if found is None:
            return False
        name = found["name"].strip("[]").rstrip(".")
        if name in self._names or {host.lower(), found["name"]} & self._hosts:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # Digits cannot be made to point elsewhere; off loopback a server has addresses that it does not know.
        return address.is_loopback or not self._loopback

    def owns(self, origin: str, host: str) -> bool:
        """Whether a page of `origin` is the server's own, asked by the name `host`; a proxy may have changed that."""
        _, _, place = origin.lower().partition("://")
        return bool(_ORIGIN.fullmatch(origin.lower())) and (place == host.lower() or place in self._hosts)


def _host(name: str) -> str:
    if not _NETLOC.fullmatch(name.lower()):
        raise InputError(
            f"{name!r} is no name of a host: --allow-host takes one such as lab.example or lab.example:8443, without "
            "http:// and path, and each by itself."
        )
    return name.lower()


def _origin(frame: str) -> str:
    if not _ORIGIN.fullmatch(frame.lower()):
        raise InputError(
            f"{frame!r} is no origin: --allow-frame takes one such as https://lab.example or http://localhost:8888, "
            "without a path, and each by itself."
        )
    return frame.lower()


def _root(path: str) -> str:
    root = path.rstrip("/")
    if root and (not _ROOT.fullmatch(root) or {".", ".."} & set(root.split("/"))):
        raise InputError(f"{path!r} is no prefix of an address: --root-path takes one such as /headscope.")
    if root.split("/")[1:2] in (["api"], ["static"]):
        raise InputError(f"--root-path {path} begins as the page's own addresses do: choose another prefix.")
    return root
