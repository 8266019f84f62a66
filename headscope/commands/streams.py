"""Standard input, output and error of a command, whatever they are connected to: one rule for all commands.

JSON and CSV are UTF-8. In everything else a character that the output's encoding has not is written as one that looks
alike, where headscope draws with it, and as its escape elsewhere. Standard output that is closed is one that cannot be
written: the work is done, and what was to be read is told to be lost. Standard error that cannot be written is done
without.
"""

from __future__ import annotations

import codecs
import errno
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

READER_LEFT = 141  # as a shell tells of a program that ended because nobody read its output any more
_ERRORS = "headscope"  # the name of the rule among Python's handlers of encoding errors
# One column each, so that tables keep their shape.
_ALIKE = dict(zip("▸•≈◦●○·…−–×→⟨⟩␣", ">*=o*o-.--x><>_", strict=True))


class Watched:
    """An output that remembers what kept it from being written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.fault: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._watching():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._watching():
            self._stream.flush()

    @contextmanager
    def _watching(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.fault = error
            raise


class Closed(Watched):
    """In the place of an output that is closed: who writes goes on, and the end is that of one that cannot be written.

    `needed`: what is written is what the command is asked for.
    """

    needed = True

    def write(self, text: str) -> int:
        if self.needed and text:
            self.fault = OSError(errno.EBADF, "it is closed")
        return len(text)


class Dispensable(Watched):
    """An output that a command does without where it cannot be written."""

    def write(self, text: str) -> int:
        with self._dispensed():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._dispensed():
            self._stream.flush()

    @contextmanager
    def _dispensed(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            into_nothing(self._stream)


@contextmanager
def standard_streams() -> Iterator[Watched]:
    """Put the rule in force for a command; yields its standard output."""
    codecs.register_error(_ERRORS, _written_otherwise)
    before = sys.stdin, sys.stdout, sys.stderr
    # Python has None for what was closed before it began. In this order, each takes the number that is its own.
    given, out, error = (
        stream or open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 - open as long as the process
        for stream, mode in zip(cast("list[TextIO | None]", before), ("r", "w", "w"), strict=True)
    )
    for stream in (out, error):
        with suppress(AttributeError):  # no file: a notebook's, or a test's
            stream.reconfigure(errors=_ERRORS)  # type: ignore[union-attr]
    watched = (Watched if before[1] is not None else Closed)(cast("TextIO", out))
    sys.stdin, sys.stdout, sys.stderr = (
        given,
        cast("TextIO", watched),
        cast("TextIO", Dispensable(cast("TextIO", error))),
    )
    try:
        yield watched
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def write_data(text: str) -> None:
    """Write JSON or CSV to standard output: in UTF-8, a byte of a path that is none as its escape."""
    with suppress(AttributeError):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdout.write(text)


def say(text: str) -> None:
    """Write lines of text to standard output; nothing in them is obeyed by a terminal."""
    from headscope.keep.cells import visible

    sys.stdout.write(f"{visible(text)}\n")


def tell(sentence: str) -> None:
    """Write a sentence to standard output: in a terminal, broken between words, and further in from its second line on.

    For what is read. What is copied, a command or a path, is written whole by `say`.
    """
    if not sys.stdout.isatty():
        say(sentence)
        return
    indent = sentence[: len(sentence) - len(sentence.lstrip())]
    broken = textwrap.wrap(
        sentence,
        shutil.get_terminal_size().columns,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in broken or [""]:
        say(line)


def not_needed() -> None:
    """Say of a command that what it says is no answer: it ends well where standard output is closed."""
    if isinstance(sys.stdout, Closed):
        sys.stdout.needed = False


def complain(sentence: object) -> None:
    """Write a sentence to standard error, with whose it is."""
    from headscope.keep.cells import visible

    sys.stderr.write(visible(f"headscope: {sentence}") + "\n")


def into_nothing(stream: TextIO | Watched) -> None:
    """What is still to be written goes nowhere, and not into a second error, which would change the exit code."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def give_up(out: Watched) -> int:
    """End with an output that could not be written: its exit code, and a sentence unless its reader simply left."""
    into_nothing(out)
    if isinstance(out.fault, BrokenPipeError):
        return READER_LEFT
    assert out.fault is not None
    complain(f"standard output cannot be written: {out.fault.strerror or out.fault}.")
    return 1


def _written_otherwise(error: UnicodeError) -> tuple[str, int]:
    """What is written for characters that an encoding has not: as Python's handlers of such errors answer."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_otherwise, error.object[error.start : error.end])), error.end


def _otherwise(character: str) -> str:
    if "\u2800" <= character < "\u2900":  # of what turns while one waits
        return "*"
    return _ALIKE.get(character) or character.encode("ascii", "backslashreplace").decode("ascii")
