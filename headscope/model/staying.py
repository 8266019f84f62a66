"""What holds a model stays in its process: it is copied as it is, and neither pickled nor copied deeply."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from headscope.errors import InputError

if TYPE_CHECKING:
    from typing_extensions import Self


class Stays:
    """A model and its locks hang on it: pickling says what can be sent instead, where Python would name a lock."""

    def __getstate__(self) -> NoReturn:
        raise InputError(
            f"a {type(self).__name__} holds its model, so it is neither pickled nor copied deeply: open the model in "
            "every process and send texts there, and answers, cards and tensors back."
        )

    def __copy__(self) -> Self:
        made = object.__new__(type(self))
        vars(made).update(vars(self))
        return made
