"""A limit on the time that a block may take."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise `TimeoutError` in a block that takes longer, by the clock; the main thread only.

    Code outside Python is not interrupted: the error comes when it returns.
    """

    def stop(*_) -> None:
        raise TimeoutError(f"not done within the limit of {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
