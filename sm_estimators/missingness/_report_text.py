"""The words of a missingness report."""

from typing import Any

import numpy as np

TOP_PATTERNS = 10
TOP_COLUMNS = 20
TOP_NAMES = 6


def report_text(report: Any) -> str:
    """Write a report in a screenful."""
    blocks = [
        _totals(report),
        _columns(report),
        _patterns(report),
        _warnings(report),
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def _totals(report: Any) -> list[str]:
    """Write the size of the table and the counts of rows."""
    return [
        f"{_count(report.n_rows, 'row')} by {_count(report.n_columns, 'column')}, "
        f"{report.n_missing:,} of {_count(report.n_cells, 'cell')} missing "
        f"({_percent(report.rate)})",
        f"{_count(report.n_complete_rows, 'complete row')}, "
        f"{_count(report.n_incomplete_rows, 'row')} with holes, "
        f"{_count(report.n_empty_rows, 'row')} without any value",
    ]


def _columns(report: Any) -> list[str]:
    """List the columns with holes, most holes first."""
    table = report.columns[report.columns["n_missing"] > 0]
    if table.empty:
        return []
    order = np.argsort(-table["n_missing"].to_numpy(), kind="stable")[:TOP_COLUMNS]
    shown = table.iloc[order]
    names = _pad(["  " + str(name) for name in shown.index], "left")
    kinds = _pad(list(shown["kind"]), "left")
    counts = _pad([f"{n:,}" for n in shown["n_missing"]], "right")
    lines = [
        f"{name}  {kind}  {count} missing ({_percent(rate)})"
        for name, kind, count, rate in zip(names, kinds, counts, shown["rate"], strict=True)
    ]
    more = len(table) - len(shown)
    tail = [f"  and {_count(more, 'more column')}"] if more else []
    return ["Columns with holes", *lines, *tail]


def _patterns(report: Any) -> list[str]:
    """List the most frequent patterns by the columns that they miss."""
    shown = report.pattern_counts[:TOP_PATTERNS]
    counts = _pad([f"{n:,}" for n in shown], "right")
    nouns = _pad(["row" if n == 1 else "rows" for n in shown], "left")
    shares = _pad([f"({_percent(n / report.n_rows)})" for n in shown], "right")
    names = report.patterns.columns
    lines = [
        f"  {count} {noun} {share}  {_lost(names[~seen])}"
        for count, noun, share, seen in zip(
            counts, nouns, shares, report.patterns.to_numpy()[:TOP_PATTERNS], strict=True
        )
    ]
    title = _count(report.n_patterns, "pattern")
    if report.n_patterns > TOP_PATTERNS:
        title += f", the {TOP_PATTERNS} most frequent"
    return [title, *lines]


def _warnings(report: Any) -> list[str]:
    """Write what no method can repair: empty columns and pairs never seen together."""
    lines = []
    empty = report.empty_columns
    if empty:
        lines.append(f"{_count(len(empty), 'column')} without any value: {_names(empty)}")
    pairs = [f"{a} & {b}" for a, b in report.never_co_observed]
    if pairs:
        lines.append(f"{_count(len(pairs), 'pair')} never seen together: {_names(pairs)}")
    return lines


def _lost(names: Any) -> str:
    """Say which columns a pattern misses."""
    return f"missing: {_names(names)}" if len(names) else "nothing missing"


def _names(names: Any) -> str:
    """Join a few names and count the rest."""
    text = ", ".join(map(str, names[:TOP_NAMES]))
    more = len(names) - TOP_NAMES
    return f"{text} and {more:,} more" if more > 0 else text


def _count(n: int, noun: str) -> str:
    """Write a number with its noun: no rows, 1 row, 2 rows."""
    return f"{f'{n:,}' if n else 'no'} {noun}{'' if n == 1 else 's'}"


def _percent(fraction: float) -> str:
    """Write a fraction in per cent with one decimal, never rounding something to nothing."""
    if 0 < fraction < 0.0005:
        return "<0.1 %"
    if 0.9995 <= fraction < 1:
        return ">99.9 %"
    return f"{100 * fraction:.1f} %"


def _pad(texts: list[str], side: str) -> list[str]:
    """Bring texts to equal width."""
    width = max(map(len, texts))
    return [text.ljust(width) if side == "left" else text.rjust(width) for text in texts]
