"""One column of a table: its numbers, its holes, and why it is no column of numbers."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

EXACT = 2**53
"""Whole numbers below it are exact as floats."""
SPELLINGS = ("", "NA", "NaN", "nan", "null", "None", "?")
"""Cells that mean *not seen*, spaces around them aside."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)


@dataclass(frozen=True)
class Holes:
    """Decides which cells are holes: the usual spellings and the user's own."""

    extra: tuple[str, ...] = ()
    spellings: frozenset[str] = field(init=False)
    numbers: frozenset[float] = field(init=False)

    def __post_init__(self):
        own = [spelling.strip() for spelling in self.extra]
        numbers = frozenset(float(spelling) for spelling in own if NUMBER.fullmatch(spelling))
        object.__setattr__(self, "spellings", frozenset([*SPELLINGS, *own]))
        object.__setattr__(self, "numbers", numbers)


@dataclass(frozen=True)
class Column:
    """A column; ``values`` (n,) with NaN in the holes, or None where it is not numeric."""

    name: str
    kind: str
    n_holes: int
    values: np.ndarray | None = None
    stray: str = ""
    """Which value keeps a column of numbers from being one."""
    other: Any = None
    """The cells of a column that is not numeric, None in the holes."""

    @property
    def holes(self) -> np.ndarray:
        """Flags (n,) of the cells that were not seen."""
        if self.values is None:
            return np.array([cell is None or cell != cell for cell in self.other], bool)
        return np.isnan(np.asarray(self.values, float))

    @property
    def whole_dtype(self) -> str | None:
        """The pandas dtype of a column of whole numbers, None of others and of very large ones."""
        if self.values is None or not self.kind.startswith(("int", "uint")):
            return None
        if not np.all(np.abs(self.values[~self.holes]) < EXACT):
            return None
        return self.kind.replace("integer", "int64").replace("uint", "UInt").replace("int", "Int")

    @property
    def padded(self) -> bool:
        """Whether text has nothing but digits, and zeros before some of them: codes, as 00501."""
        if self.kind != "text" or not isinstance(self.other, list):
            return False
        return are_codes([cell for cell in self.other if cell is not None])

    def spelled(self, value: Any) -> str:
        """Return a value as text, times as the column spells its own."""
        if self.values is not None:
            whole = self.kind == "integer" and float(value).is_integer()
            return str(int(value)) if whole else repr(float(value))
        if isinstance(value, str):
            return value
        pattern = next(cell for cell in self.other if cell is not None)
        mark = pattern[10:11]
        text = np.datetime_as_string(np.datetime64(value, "us"))
        return text[: len(pattern)].replace("T", mark or "T")


def are_codes(texts: list[str]) -> bool:
    """Tell whether texts are digits, some with zeros before them, which numbers would lose."""
    return any(len(text) > 1 and text[0] == "0" for text in texts) and all(
        text.isdecimal() for text in texts
    )


def read_column(
    name: str, cells: Iterable[str], holes: Holes, declared: str | None = None
) -> Column:
    """Read the cells of one column as numbers, or say which of them is none.

    A column without a name holds the row names that other programs write, so it is no number.
    Neither is one declared nominal, nor one of codes unless it is declared numeric.
    """
    texts = [cell.strip() for cell in cells]
    seen = [i for i, text in enumerate(texts) if text not in holes.spellings]
    stray = [i for i in seen if not NUMBER.fullmatch(texts[i])]
    n_holes = len(texts) - len(seen)
    codes = declared != "numeric" and are_codes([texts[i] for i in seen])
    if stray or not name or codes or declared == "nominal":
        other = [None if text in holes.spellings else text for text in texts]
        mixed = stray and len(stray) < len(seen) and declared != "nominal"
        odd = f"{texts[stray[0]]!r} in row {stray[0] + 1}" if mixed else ""
        kind = declared if declared == "nominal" else "text"
        return Column(name, kind if name else "nameless", n_holes, stray=odd, other=other)
    values = np.full(len(texts), np.nan)
    values[seen] = [float(texts[i]) for i in seen]
    values[np.isin(values, list(holes.numbers))] = np.nan
    kind = "integer" if all(texts[i].lstrip("+-").isdigit() for i in seen) else "float"
    return Column(name, kind if seen else "empty", int(np.isnan(values).sum()), values)
