"""What headscope raises when it cannot do what it was asked."""

from collections.abc import Iterator
from contextlib import contextmanager


class HeadscopeError(Exception):
    """Base of every error that headscope raises on purpose; its text is a sentence for the user.

    `program`: what would help in a program or on the command line, a sentence of its own. The text ends with it; the
    page, where nothing of it can be typed, shows `wrong` alone.

    >>> str(InputError("the text is too long: shorten it.", program="Or: --truncate."))
    'the text is too long: shorten it. Or: --truncate.'
    """

    def __init__(self, wrong: str = "", *, program: str = "") -> None:
        super().__init__(" ".join(filter(None, (wrong, program))))
        self.wrong = wrong


class InputError(HeadscopeError):
    """A text, token, layer or choice that cannot be used; the command line exits with 2."""


class ModelError(HeadscopeError):
    """A model that cannot be found, loaded or read; the command line exits with 1."""


def cut(given: object, most: int = 80) -> str:
    """What was given, as a sentence may hold it: in one line, and no longer than `most` characters.

    >>> cut("a" * 1000, 5), cut("Model(\\n  (part)\\n)")
    ('aaaa…', 'Model( (part) )')
    """
    text = str(given)
    if "\n" in text:  # tensors and modules show themselves in many
        text = " ".join(filter(None, map(str.strip, text.splitlines())))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def spoken(error: BaseException) -> str:
    """The text of another library's error; a KeyError's is the key alone, which says nothing to who did not ask for it.

    >>> spoken(KeyError("added_tokens")), spoken(KeyError("no such file")), spoken(ValueError("no table"))
    ("it has no 'added_tokens'", 'no such file', 'no table')
    """
    if isinstance(error, KeyError) and len(error.args) == 1:
        (key,) = error.args
        return key.strip() if isinstance(key, str) and " " in key.strip() else f"it has no {key!r}"
    return str(error).strip()


def clause(error: Exception, most: int = 300) -> str:
    """What another library's error says, as a sentence may hold it: its first line, else its name.

    >>> clause(ValueError("no table.\\nSee the manual.")), clause(KeyError())
    ('no table', 'KeyError')
    """
    lines = spoken(error).splitlines() or [type(error).__name__]
    return lines[0][:most].rstrip(". ")


@contextmanager
def needing(what: str, extra: str) -> Iterator[None]:
    """Around imports: InputError, for who asked for `what`, where one is not installed; `extra` brings it.

    >>> with needing("a song needs", "music"):
    ...     import headscope_of_songs
    Traceback (most recent call last):
    headscope.errors.InputError: a song needs headscope_of_songs: pip install "headscope[music]"
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f'{what} {error.name}: pip install "headscope[{extra}]"') from None
