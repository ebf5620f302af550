"""What the command line says when it cannot do what was asked: one line, no traceback."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import typer

USAGE, FAILURE = 2, 1


class CommandError(Exception):
    """A sentence for the user, and the exit code: 2 for the call, 1 for what is in a file."""

    def __init__(self, sentence: str, code: int = FAILURE):
        super().__init__(sentence)
        self.code = code


def in_one_line(command: Callable[..., None]) -> Callable[..., None]:
    """Turn the errors of a command into one line on stderr and an exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            with spoken_warnings():
                command(*args, **kwargs)
        except CommandError as error:
            say("error", error)
            raise typer.Exit(error.code) from None
        except (ValueError, ArithmeticError, OSError, ImportError) as error:
            say("error", error)
            raise typer.Exit(FAILURE) from None

    return wrapped


def say(kind: str, message: object) -> None:
    """Write one line to stderr."""
    typer.echo(f"{kind}: {' '.join(str(message).split())}", err=True)


@contextmanager
def spoken_warnings() -> Iterator[None]:
    """Write warnings meant for users as one line each, once; hide those meant for programmers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for category in (UserWarning, RuntimeWarning):
            warnings.filterwarnings("default", category=category)
        warnings.showwarning = lambda message, *_, **__: say("warning", message)
        yield
