"""The codec between a table with mixed columns and a table of real coordinates."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sm_estimators.tables import levelled, numeric, times
from sm_estimators.tables.bounds import bounded, refuse_outside
from sm_estimators.tables.column import Column
from sm_estimators.tables.contents import has_place_for_holes
from sm_estimators.tables.frames import (
    as_frame,
    read_values,
    refuse_empty_columns,
    refuse_other_columns,
    refuse_other_width,
    refuse_repeated_names,
    refuse_sparse_columns,
    refuse_unknown_names,
)
from sm_estimators.tables.inference import read_column

BY_KIND: dict[str, Any] = {
    "numeric": numeric,
    "integer": numeric,
    "boolean": levelled,
    "ordinal": levelled,
    "nominal": levelled,
    "datetime": times,
}
"""The file that takes a kind of column to coordinates and back."""


@dataclass
class TableCodec:
    """Take tables with mixed columns to real coordinates, and back into their holes.

    Every column has one coordinate: the number itself; the code 0, 1, … of a flag or category;
    seconds since the smallest time that was seen. Holes are NaN, None, ``pd.NA`` and ``pd.NaT``.

    A column is *boolean* where it has flags, *integer* where it has whole numbers (also as floats,
    which is how pandas stores them beside holes), otherwise *numeric*; *ordinal* where it is an
    ordered category, *nominal* where it is another category or text; *datetime* where it has
    instants or durations. Columns of objects are judged by their values.

    Parameters
    ----------
    column_types : mapping or None, default=None
        Kinds that should not be inferred, by column: "numeric", "integer", "boolean", "ordinal",
        "nominal" or "datetime", or the list of the levels of an ordinal column in their order.
        Numbers called ordinal or nominal have their values in ascending order as levels.
    bounds : mapping or None, default=None
        Pairs (lower, upper) by column, of numbers or times, with None for no bound. What is
        written is clipped into them.

    Attributes
    ----------
    columns : tuple of Column
        What each column is, in order; empty before `fit`.

    Notes
    -----
    What is written is always possible: whole where numbers are whole, in the range of the dtype,
    within the bounds, the nearest level that was seen in the fit, and a time on the grid of
    days, hours, … on which all seen times lie. Seen cells never pass through coordinates.

    Codecs compare by value and pickle.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sm_estimators.tables import TableCodec
    >>> frame = pd.DataFrame({"age": [31, None, 54], "size": ["S", "L", None]})
    >>> codec = TableCodec({"size": ["S", "M", "L"]}, bounds={"age": (0, None)}).fit(frame)
    >>> values, observed = codec.encode(frame)
    >>> values
    array([[31.,  0.],
           [nan,  2.],
           [54., nan]])
    >>> codec.fill(frame, np.where(observed, values, [[-7.2, 0.3]]))
        age size
    0  31.0    S
    1   0.0    L
    2  54.0    S
    >>> codec.decode([[40.4, 1.8]])
        age size
    0  40.0    L
    """

    column_types: Any = None
    bounds: Any = None
    columns: tuple[Column, ...] = field(default=(), init=False, repr=False)
    names: Any = field(default=None, init=False, repr=False, compare=False)

    def fit(self, frame: Any) -> "TableCodec":
        """Learn what the columns of a table are.

        Parameters
        ----------
        frame : DataFrame or array of shape (n, d)
            The table, with holes.

        Returns
        -------
        TableCodec
            This codec.

        Raises
        ------
        TypeError
            If ``frame`` is no table, or ``column_types`` or ``bounds`` no mapping.
        ValueError
            If names repeat, a column is sparse or has no seen value, infinities, whole numbers of
            2**53 and more, or values that are none of the kinds (text that looks like an
            identifier is not), or if ``column_types`` or ``bounds`` do not fit the table.
        """
        table = as_frame(frame)
        refuse_repeated_names(table)
        refuse_sparse_columns(table)
        types = refuse_unknown_names(self.column_types, table, "column_types")
        bounds = refuse_unknown_names(self.bounds, table, "bounds")
        refuse_empty_columns(table)
        columns = []
        for j, name in enumerate(table.columns):
            series = table.iloc[:, j]
            column = read_column(name, series, types.get(name))
            columns.append(bounded(column, bounds[name]) if name in bounds else column)
            self._coordinates(columns[-1], series)
        self.columns = tuple(columns)
        self.names = None if isinstance(frame, np.ndarray) else table.columns
        return self

    def encode(self, frame: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the coordinates of a table, and which of its cells were seen.

        Parameters
        ----------
        frame : DataFrame or array of shape (n, d)
            A table with the columns of the fit, in their order. Where one of the two tables is an
            array, columns are known by their positions. Columns may have other dtypes, as long as
            their values mean the same; one with nothing but holes is fine.

        Returns
        -------
        values : ndarray of float64, shape (n, d)
            Coordinates, NaN in the holes.
        observed : ndarray of bool, shape (n, d)
            True where a cell was seen.

        Raises
        ------
        TypeError
            If ``frame`` is no table.
        ValueError
            If the codec is not fitted, the columns are others or in another order, or a column
            has infinities, new levels, values outside its bounds, or another type of values.
        """
        table = self._checked(frame)
        values = np.empty(table.shape)
        for j, column in enumerate(self.columns):
            values[:, j] = self._coordinates(column, table.iloc[:, j])
        return values, ~np.isnan(values)

    def fill(self, frame: Any, values: Any, *, rounded: bool = True) -> Any:
        """Return a copy of a table with values in its holes.

        Parameters
        ----------
        frame : DataFrame or array of shape (n, d)
            A table that `encode` accepts; it is not changed.
        values : array of shape (n, d)
            Coordinates. Only those in the holes are read, and NaN leaves a hole as it is.
        rounded : bool, default=True
            Whether whole numbers stay whole in a column of floats, too; False for means.

        Returns
        -------
        DataFrame or ndarray of shape (n, d)
            The table as it came, with the same index and dtypes; only holes differ. A column in
            which nothing was seen has the dtype of the fit, and so has a category that lacks
            levels of the fit.

        Raises
        ------
        TypeError, ValueError
            As `encode`, and if ``values`` has another shape or infinities.
        """
        table = self._checked(frame)
        values = read_values(values, table.shape)
        out = table.copy()
        for j, column in enumerate(self.columns):
            series = table.iloc[:, j]
            holes = np.isnan(self._coordinates(column, series)) & ~np.isnan(values[:, j])
            if holes.any():
                cells = filled(column, series, values=values[:, j], holes=holes, rounded=rounded)
                out.isetitem(j, as_series(cells, table.index))
        if isinstance(frame, np.ndarray):
            return out.to_numpy(dtype=frame.dtype, copy=True)  # pandas hands out read-only views
        return out

    def decode(self, values: Any, index: Any = None) -> pd.DataFrame:
        """Return a new table of whole rows, with the names and dtypes of the fit.

        Parameters
        ----------
        values : array of shape (n, d)
            Coordinates; NaN becomes a hole.
        index : Index of length n or None, default=None
            The index of the table; None counts from 0.

        Returns
        -------
        DataFrame of shape (n, d)
            The rows.

        Raises
        ------
        ValueError
            If the codec is not fitted, ``index`` has another length, or ``values`` has another
            shape, infinities, or NaN in a column whose dtype has no place for holes.
        """
        self._refuse_unfitted()
        values = read_values(values, (None, len(self.columns)))
        index = pd.RangeIndex(len(values)) if index is None else pd.Index(index)
        if len(index) != len(values):
            raise ValueError(
                f"`index` has length {len(index)}, but `values` has {len(values)} rows; expected "
                "one entry for each row. Pass the index of these rows, or None."
            )
        cells = {
            j: as_series(decoded(column, values[:, j]), index)
            for j, column in enumerate(self.columns)
        }
        out = pd.DataFrame(cells, index=index)
        out.columns = pd.RangeIndex(len(self.columns)) if self.names is None else self.names
        return out

    def _refuse_unfitted(self) -> None:
        if not self.columns:
            raise ValueError("This `TableCodec` is not fitted yet. Call `fit` with a table first.")

    def _checked(self, frame: Any) -> pd.DataFrame:
        """Return a table that has the columns of the fit."""
        self._refuse_unfitted()
        table = as_frame(frame)
        if self.names is None or isinstance(frame, np.ndarray):
            refuse_other_width(table, len(self.columns))
        else:
            refuse_other_columns(table, self.names)
        refuse_sparse_columns(table)
        return table

    def _coordinates(self, column: Column, series: pd.Series) -> np.ndarray:
        """Return the coordinates (n,) of the cells of a column."""
        if series.isna().all():
            return np.full(len(series), np.nan)
        values = BY_KIND[column.kind].to_coordinates(column, series)
        if np.isfinite(column.lower) or np.isfinite(column.upper):
            pair = self.bounds[column.name]
            refuse_outside(column, series, values=values, pair=pair)
        return values


def as_series(cells: Any, index: Any) -> pd.Series:
    """Return an array as a column; pandas would take objects that are text for another dtype."""
    return pd.Series(cells, index=index, dtype=cells.dtype, copy=False)


def filled(
    column: Column, series: pd.Series, *, values: np.ndarray, holes: np.ndarray, rounded: bool
) -> Any:
    """Return the cells of a column with coordinates (n,) written into some of its holes (n,)."""
    if series.isna().all():
        return decoded(column, values, rounded=rounded)
    dtype = dtype_for(column, series)
    cells = series.astype(dtype).array.copy()
    cells[holes] = in_dtype(column, values[holes], dtype, rounded=rounded)
    return cells


def in_dtype(column: Column, values: np.ndarray, dtype: Any, *, rounded: bool) -> Any:
    """Return coordinates as cells of a dtype."""
    options = {} if rounded or BY_KIND[column.kind] is not numeric else {"rounded": False}
    return BY_KIND[column.kind].from_coordinates(column, values, dtype, **options)


def dtype_for(column: Column, series: pd.Series) -> Any:
    """Return the dtype a column has anyway, unless it is a category that lacks seen levels."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        levels = column.levels or ()
        if not set(dtype.categories).issuperset(levels[code] for code in column.seen_levels):
            return column.dtype if has_place_for_holes(column.dtype) else np.dtype(object)
    return dtype


def decoded(column: Column, values: np.ndarray, *, rounded: bool = True) -> Any:
    """Return coordinates (n,) as cells in the dtype of the fit."""
    if np.isnan(values).any() and not has_place_for_holes(column.dtype):
        raise ValueError(
            f"`values` has NaN in column {column.name!r}, whose dtype {column.dtype} has no place "
            "for a hole; expected real numbers. Fill these cells, or fit on a nullable dtype."
        )
    return in_dtype(column, values, column.dtype, rounded=rounded)
