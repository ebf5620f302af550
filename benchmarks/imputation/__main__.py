"""Run the study and write its report.

    python -m benchmarks.imputation --tables iris,yacht --mechanisms mcar --rates 0.3 --seeds 0-4

Runs are added to the records; those that are there are not run again. Seeds come first in the
order, so that every table has a result early.
"""

import argparse
from functools import partial
from itertools import product
from pathlib import Path

from benchmarks.imputation import methods, records
from benchmarks.imputation.holes import MECHANISMS
from benchmarks.imputation.report import write
from benchmarks.imputation.runs import Key, run
from benchmarks.imputation.tables import SOURCES, STUDY
from benchmarks.machine import RESULTS


def names(text: str) -> list[str]:
    """Read names with commas between them."""
    return [name for name in text.split(",") if name]


def numbers(text: str) -> list[int]:
    """Read numbers and ranges, as in ``0-2,7``."""
    found = []
    for piece in names(text):
        low, _, high = piece.partition("-")
        found.extend(range(int(low), int(high or low) + 1))
    return found


def parser() -> argparse.ArgumentParser:
    """Return the options; by default the whole study."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.imputation", description=__doc__)
    add = options.add_argument
    add("--tables", type=names, default=list(STUDY), help=f"among {', '.join(SOURCES)}")
    add("--mechanisms", type=names, default=list(MECHANISMS), help="among mcar, mar, mnar")
    add("--rates", type=names, default=["0.3", "0.1", "0.5"], help="shares of hidden cells")
    add("--seeds", type=numbers, default=list(range(5)), help="such as 0-4")
    add("--methods", type=names, default=list(methods.METHODS), help="see methods.py")
    add("--limit", type=float, default=3600.0, help="seconds of a task; 0 for none")
    add("--records", type=Path, default=RESULTS / "imputation_runs.jsonl")
    add("--again", action="store_true", help="run once more what ended in an error")
    add("--report-only", action="store_true", help="write the report of the records there are")
    return options


def main() -> None:
    """Run and report."""
    options = parser()
    chosen = options.parse_args()
    if not chosen.report_only:
        try:
            methods.check(chosen.methods)
        except ValueError as error:
            options.error(str(error))
        order = product(chosen.seeds, chosen.tables, chosen.rates, chosen.mechanisms)
        keys = [
            Key(method, table, mechanism, float(rate), seed)
            for seed, table, rate, mechanism in order
            for method in chosen.methods
        ]
        one = partial(run, limit=chosen.limit or None)
        records.complete(chosen.records, keys, one, again=chosen.again)
    write(records.read(chosen.records))


if __name__ == "__main__":
    main()
