"""Tropical Pacific buoys: a small numeric table with real holes."""

from pathlib import Path
from typing import Any

import pandas as pd

from sm_estimators.datasets._files import packaged_path


def load_oceanbuoys(*, as_frame: bool = True) -> Any:
    """Load the ocean buoys: 736 rows, 8 columns, 177 holes that nobody made on purpose.

    Moored buoys of the Tropical Atmosphere Ocean project measured sea and air at five places in
    the equatorial Pacific in 1993 and, during an El Niño, in 1997. All columns are floats:

    ============  ======================================  ========  =====
    column        meaning                                 unit      holes
    ============  ======================================  ========  =====
    year          1993 or 1997                                      0
    latitude      −5, −2 or 0, north positive             degrees   0
    longitude     −110 or −95, east positive              degrees   0
    sea_temp_c    sea surface, 1 m below it               °C        3
    air_temp_c    air, 3 m above the sea                  °C        81
    humidity      relative humidity, 3 m above the sea    %         93
    wind_ew       wind at 4 m, eastward positive          m/s       0
    wind_ns       wind at 4 m, northward positive         m/s       0
    ============  ======================================  ========  =====

    The holes are not completely random: all missing humidities are from 1993, and 77 of the 81
    missing air temperatures from 1997.

    Parameters
    ----------
    as_frame : bool, default True
        Return a DataFrame; otherwise a float array of shape (736, 8), columns in this order.

    Returns
    -------
    DataFrame or ndarray of shape (736, 8)
        A fresh copy on every call, NaN in the holes.

    Notes
    -----
    Source: NOAA/PMEL, TAO project, through ``oceanbuoys`` of the R package naniar (Tierney and
    Cook 2023), MIT licence; see ``LICENSE-oceanbuoys.txt`` beside the table.

    Examples
    --------
    >>> X = load_oceanbuoys()
    >>> X.shape, int(X.isna().sum().sum())
    ((736, 8), 177)
    """
    frame = pd.read_csv(oceanbuoys_path())
    return frame if as_frame else frame.to_numpy()


def oceanbuoys_path() -> Path:
    """Return the path of the packaged CSV file, for programs that read files.

    Returns
    -------
    pathlib.Path
        A comma-separated file with one header row; a hole is an empty field.

    Examples
    --------
    >>> oceanbuoys_path().name
    'oceanbuoys.csv'
    """
    return packaged_path("oceanbuoys.csv")
