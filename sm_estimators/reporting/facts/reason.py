"""Facts that cannot be had, and why."""

from collections.abc import Callable
from typing import TypeVar

Facts = TypeVar("Facts")


class NotPossibleError(ValueError):
    """A sentence for the page in place of facts."""


class Reason(str):
    """Why there are no facts: a sentence."""

    __slots__ = ()


def attempt(gather: Callable[[], Facts]) -> Facts | Reason:
    """Return facts, or the sentence of the error that kept them away.

    A page with one section less is worth more than none, so errors that are sentences to a user
    are caught here; errors of a program are not.
    """
    try:
        return gather()
    except (ValueError, ArithmeticError) as error:
        return Reason(error)
