"""Which names of models and directories a request may have looked up on the server's machine."""

from __future__ import annotations

import os
import re

_DEVICES = re.compile(r"(nul|con|aux|prn|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)", re.IGNORECASE)
_SYSTEM = ("/dev", "/proc", "/sys")


def no_place(name: str) -> str | None:
    """Why a name is never looked up, as a clause; None where it may be.

    Looking is enough to do harm: a share on another machine is sent the user's credentials, a device may never answer.
    So the name alone decides, before the file system is asked.

    >>> no_place("//host/share"), no_place("./models/tiny")
    ('a share on another machine, or a device', None)
    """
    if any(ord(letter) < 32 for letter in name):
        return "a name with control characters"
    path = name.strip().replace("\\", "/")
    if path.startswith("//"):
        return "a share on another machine, or a device"
    # Windows takes a device's name for the device in any directory, and with any ending.
    if any(_DEVICES.fullmatch(re.split("[.:]", part)[0].strip()) for part in path.split("/")):
        return "a device"
    whole = os.path.abspath(os.path.expanduser(path))
    if any(f"{whole}/".startswith(f"{folder}/") for folder in _SYSTEM):
        return "a device, or a file of the system"
    return None
