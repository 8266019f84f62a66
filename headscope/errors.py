"""What headscope raises when it cannot do what it was asked."""


class HeadscopeError(Exception):
    """Base of every error that headscope raises on purpose; its text is a sentence for the user."""


class InputError(HeadscopeError):
    """A text, token, layer or choice that cannot be used; the command line exits with 2."""


class ModelError(HeadscopeError):
    """A model that cannot be found, loaded or read; the command line exits with 1."""


def cut(given: object, most: int = 80) -> str:
    """What was given, as a sentence may hold it: no longer than `most` characters.

    >>> cut("a" * 1000, 5)
    'aaaa…'
    """
    text = str(given)
    return text if len(text) <= most else f"{text[: most - 1]}…"
