"""headscope shows, for any Hugging Face transformer, what every attention head writes.

>>> import headscope
>>> sorted(headscope.__all__)
['HeadscopeError', 'InputError', 'ModelError', 'Scope', '__version__']
"""

from typing import TYPE_CHECKING, Any

from headscope.errors import HeadscopeError, InputError, ModelError

if TYPE_CHECKING:
    from headscope.scope import Scope

__version__ = "0.1.0"
__all__ = ["HeadscopeError", "InputError", "ModelError", "Scope", "__version__"]


def __getattr__(name: str) -> Any:
    # Scope brings torch; `headscope --help` and error handling must not wait for it.
    if name == "Scope":
        from headscope.scope import Scope

        return Scope
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # with Scope, which completion would miss until it is asked for
