"""Tables with mixed columns, as the real coordinates a conditional score model works on, and back.

A table has numbers, whole numbers, flags, categories and times; a model has n rows of d real
numbers with holes. `TableCodec` learns from a table what its columns are, takes tables to
coordinates, and takes coordinates back: into the holes of a table, or into rows of their own.
Every cell that was seen comes back as it was, in the dtype it had.
"""

from sm_estimators.tables.codec import TableCodec
from sm_estimators.tables.column import Column

__all__ = ["Column", "TableCodec"]
