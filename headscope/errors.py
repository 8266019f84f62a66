"""What headscope raises when it cannot do what it was asked."""


class HeadscopeError(Exception):
    """Base of every error that headscope raises on purpose; its text is a sentence for the user."""


class InputError(HeadscopeError):
    """A text, token, layer or choice that cannot be used; the command line exits with 2."""


class ModelError(HeadscopeError):
    """A model that cannot be found, loaded or read; the command line exits with 1."""
