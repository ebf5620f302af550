"""Warnings of many fits, each said once."""

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def saying_once() -> Iterator[None]:
    """Gather what the fits inside warn of, and say each sentence once when all are done."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for (category, text), times in Counter((w.category, str(w.message)) for w in caught).items():
        often = f" (Said {times} times by the fits of an imputer.)" if times > 1 else ""
        warnings.warn(text + often, category, stacklevel=4)
