"""The codec of tables: what was seen comes back as it was, what is written is possible."""

import datetime
import decimal
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

from sm_estimators import GaussianScoreMatching, ScoreMatchingImputer
from sm_estimators.tables import Column, TableCodec

DAYS = pd.to_datetime(["2020-03-28", "2020-03-29", "2020-03-30", "2021-01-01", "1999-12-31"])
MINUTES = pd.to_datetime(
    [
        "2020-10-25 00:30",
        "2020-10-25 01:30",
        "2020-10-25 02:15",
        "1970-01-01 00:00",
        "2100-06-01 12:00",
    ]
)
SPANS = pd.to_timedelta([0.25, 3600, 86400, -5.5, 7], unit="s")
INSTANTS = pd.Series(np.array([0, 1, 5 * 10**14 + 7, -(10**12), 10**15], "M8[us]"))
CLOSE = pd.Series(
    np.array([10**18, 10**18 + 1, 10**18 + 10**14 + 3, 10**18 + 77, 10**18 + 5], "M8[ns]")
)
SIZES = pd.CategoricalDtype(["S", "M", "L", "XL"], ordered=True)
ARROW_TEXT = pd.ArrowDtype(pa.string())

COMPLETE = {
    "float64": pd.Series([1.5, -0.1, 1e300, 5e-324, 2.0]),
    "float32": pd.Series([1.5, 0.1, 3e38, -7.0, 2.0], dtype="float32"),
    "float16": pd.Series([1.5, 0.1, 6e4, -7.0, 2.0], dtype="float16"),
    "whole floats": pd.Series([1.0, 2.0, -3.0, 9e15, 1.0]),
    "large floats": pd.Series([1e17, 2e20, -3.0, 9e15, 1.0]),
    "int64": pd.Series([3, 1, 2**53 - 1, -(2**53) + 1, 0]),
    "int8": pd.Series([3, 1, 127, -128, 0], dtype="int8"),
    "uint64": pd.Series([3, 1, 2**53 - 1, 7, 0], dtype="uint64"),
    "Int8": pd.Series([3, 1, 127, -128, 0], dtype="Int8"),
    "UInt16": pd.Series([3, 1, 65535, 7, 0], dtype="UInt16"),
    "Int64": pd.Series([3, 1, 2**53 - 1, -5, 0], dtype="Int64"),
    "Float32": pd.Series([1.5, 0.1, 3e38, -7.0, 2.0], dtype="Float32"),
    "int64 of Arrow": pd.Series([3, 1, 2**53 - 1, -5, 0], dtype="int64[pyarrow]"),
    "float of Arrow": pd.Series([1.5, 0.1, 3e38, -7.0, 2.0], dtype="float[pyarrow]"),
    "double of Arrow": pd.Series([1.5, 0.1, 3e38, -7.0, 2.0], dtype="double[pyarrow]"),
    "bool": pd.Series([True, False, False, True, True]),
    "boolean": pd.Series([True, False, False, True, True], dtype="boolean"),
    "bool of Arrow": pd.Series([True, False, False, True, True], dtype="bool[pyarrow]"),
    "one flag": pd.Series([True] * 5),
    "str": pd.Series(["b", "a", "", "nan", "b"], dtype="str"),
    "string": pd.Series(["b", "a", "ü", "NA", "b"], dtype="string"),
    "string of Arrow": pd.Series(["b", "a", "ü", "NA", "b"], dtype="string[pyarrow]"),
    "text of Arrow": pd.Series(["b", "a", "ü", "NA", "b"], dtype=ARROW_TEXT),
    "object text": pd.Series(["b", "a", "c", "c", "b"], dtype=object),
    "object flags": pd.Series([True, False, False, True, True], dtype=object),
    "object integers": pd.Series([3, 1, 2**53 - 1, -5, 0], dtype=object),
    "object floats": pd.Series([0.5, 1.25, 3.0, -5.0, 0.0], dtype=object),
    "object mixed numbers": pd.Series([0.5, 1, 3, -5.0, 0], dtype=object),
    "category": pd.Series(pd.Categorical(["b", "a", "b", "a", "b"], ["z", "b", "a"])),
    "ordered": pd.Series(pd.Categorical(["L", "S", "L", "L", "S"], dtype=SIZES)),
    "category of numbers": pd.Series(pd.Categorical([7, 3, 3, 7, 7], [9, 7, 3])),
    "category of intervals": pd.Series(pd.cut([1.0, 2.0, 3.0, 4.0, 5.0], 3)),
    "days": pd.Series(DAYS),
    "days in seconds": pd.Series(DAYS.as_unit("s")),
    "days in milliseconds": pd.Series(DAYS.as_unit("ms")),
    "days in nanoseconds": pd.Series(DAYS.as_unit("ns")),
    "minutes in Paris": pd.Series(
        MINUTES.as_unit("ns").tz_localize("UTC").tz_convert("Europe/Paris")
    ),
    "minutes in UTC": pd.Series(MINUTES.as_unit("s").tz_localize("UTC")),
    "microseconds": INSTANTS,
    "nanoseconds": CLOSE,
    "durations": pd.Series(SPANS.as_unit("ms")),
    "durations in nanoseconds": pd.Series(SPANS.as_unit("ns")),
    "times of Arrow": INSTANTS.astype("timestamp[us][pyarrow]"),
    "times of Arrow in Paris": INSTANTS.dt.tz_localize("UTC").astype(
        "timestamp[us, tz=Europe/Paris][pyarrow]"
    ),
    "dates of Arrow": pd.Series(DAYS).astype("date32[day][pyarrow]"),
    "durations of Arrow": pd.Series(SPANS.as_unit("ms")).astype("duration[ms][pyarrow]"),
    "constant": pd.Series([2.5] * 5),
}
KINDS = {
    "float64": "numeric",
    "float32": "numeric",
    "whole floats": "integer",
    "large floats": "numeric",
    "int8": "integer",
    "UInt16": "integer",
    "int64 of Arrow": "integer",
    "double of Arrow": "numeric",
    "bool": "boolean",
    "bool of Arrow": "boolean",
    "str": "nominal",
    "string": "nominal",
    "text of Arrow": "nominal",
    "object text": "nominal",
    "object flags": "boolean",
    "object integers": "integer",
    "object floats": "numeric",
    "category": "nominal",
    "ordered": "ordinal",
    "category of numbers": "nominal",
    "category of intervals": "ordinal",
    "days": "datetime",
    "minutes in Paris": "datetime",
    "durations": "datetime",
    "dates of Arrow": "datetime",
    "constant": "numeric",
}
DECLARED = {
    "scores": (pd.Series([3, 1, 5, 1, 3]), "ordinal"),
    "codes": (pd.Series([30.0, 10.5, 5, 10.5, 30]), "nominal"),
    "codes in float32": (pd.Series([30.1, 10.5, 5, 10.5, 30.1], dtype="float32"), "nominal"),
    "identifiers": (pd.Series([2**63 + 1, 2**63 + 2, 5, 5, 7], dtype="UInt64"), "nominal"),
    "objects as identifiers": (pd.Series([10**30, 2, 5, 5, 7], dtype=object), "nominal"),
    "counts as numbers": (pd.Series([3, 1, 5, 1, 3]), "numeric"),
    "0 and 1": (pd.Series([0, 1, 1, 0, 0]), "boolean"),
    "0 and 1 as objects": (pd.Series([1, 1, 1, 1, 1], dtype=object), "boolean"),
    "flags": (pd.Series([True, False, True, True, False]), "nominal"),
    "sizes": (pd.Series(["S", "L", "S", "L", "S"]), ["S", "M", "L"]),
    "sizes in a category": (pd.Series(pd.Categorical(["S", "L", "S", "L", "S"])), ["S", "L"]),
    "listed numbers": (pd.Series([3, 1, 5, 1, 3]), [5, 3, 1]),
    "nominal sizes": (pd.Series(pd.Categorical(["L", "S", "L", "L", "S"], dtype=SIZES)), "nominal"),
    "numbers in a category": (pd.Series(pd.Categorical([7, 3, 3, 7, 7], [9, 7, 3])), "ordinal"),
    "months": (pd.Series(pd.period_range("2020-01", periods=5, freq="M")), "nominal"),
    "named days": (pd.Series(DAYS), "ordinal"),
}
CASES = {name: (series, None) for name, series in COMPLETE.items()} | DECLARED
HOLES = [1, 4]


def with_holes(series):
    """Return a column with holes: in its own dtype if that has them, else as pandas stores it."""
    return series.drop(HOLES).reindex(range(len(series)))


def table(name):
    """Return a complete table of one column, one with holes, and the types to declare."""
    series, kind = CASES[name]
    types = None if kind is None else {name: kind}
    return series.to_frame(name), with_holes(series).to_frame(name), types


def reals(n, seed=0):
    """Return real coordinates (n, 1) of many sizes, extreme ones among them."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=n) * 10.0 ** rng.integers(-3, 12, n)
    values[: n // 4] = rng.uniform(-1, 5, n // 4)
    values[:4] = [1e300, -1e300, 0.5, 0.0]
    return values[:, None]


each = pytest.mark.parametrize("name", CASES)


# --- laws ------------------------------------------------------------------------------------


@each
def test_a_table_comes_back_with_its_holes(name):
    for frame in table(name)[:2]:
        codec = TableCodec(table(name)[2]).fit(frame)
        values, observed = codec.encode(frame)
        assert values.dtype == np.float64
        assert values.shape == observed.shape == frame.shape
        np.testing.assert_array_equal(observed, frame.notna().to_numpy())
        np.testing.assert_array_equal(np.isnan(values), ~observed)
        assert_frame_equal(codec.fill(frame, values), frame, check_exact=True)


@each
def test_whole_rows_are_decoded_exactly(name):
    frame, _, types = table(name)
    frame.index = pd.Index([4, 4, 0, 1, 2], name="row")
    codec = TableCodec(types).fit(frame)
    again = codec.decode(codec.encode(frame)[0], index=frame.index)
    assert_frame_equal(again, frame, check_exact=True)


@each
def test_fitting_and_filling_change_no_input(name):
    _, frame, types = table(name)
    kept = pickle.loads(pickle.dumps(frame))
    values = reals(5)
    codec = TableCodec(types).fit(frame)
    filled = codec.fill(frame, values)
    assert_frame_equal(frame, kept, check_exact=True)
    np.testing.assert_array_equal(values, reals(5))
    filled.iloc[0, 0] = filled.iloc[1, 0]
    assert_frame_equal(frame, kept, check_exact=True)


@each
def test_only_holes_are_written(name):
    _, frame, types = table(name)
    codec = TableCodec(types).fit(frame)
    filled = codec.fill(frame, reals(5))
    assert filled.dtypes.equals(frame.dtypes)
    assert filled.notna().all().all()
    seen = frame.drop(HOLES)
    assert_frame_equal(filled.drop(HOLES), seen, check_exact=True)
    codec.encode(filled)


@each
def test_any_real_numbers_become_possible_cells(name):
    frame, _, types = table(name)
    codec = TableCodec(types).fit(frame)
    (column,) = codec.columns
    rows = codec.decode(reals(200))
    assert rows.dtypes.equals(frame.dtypes)
    values, observed = codec.encode(rows)
    assert observed.all()
    exact = np.abs(values.ravel()) < (2**51 * column.step if column.origin is not None else np.inf)
    assert_frame_equal(codec.decode(values)[exact], rows[exact], check_exact=True)
    if column.n_levels:
        assert set(values.ravel()) == set(column.seen_levels)
    elif column.kind == "integer":
        np.testing.assert_array_equal(values, np.rint(values))


@each
def test_the_nearest_possible_cell_is_written(name):
    frame, _, types = table(name)
    codec = TableCodec(types).fit(frame)
    values, _ = codec.encode(frame)
    noise = 0.4 * codec.columns[0].step * np.array([[1], [-1], [0.5], [-0.9], [0.3]])
    large = np.abs(values) > 2**50 * codec.columns[0].step  # there is no noise this small
    again = codec.decode(values + np.where(large, 0, noise))
    assert_frame_equal(again, frame, check_exact=True)


@each
def test_holes_are_decoded_where_the_dtype_has_them(name):
    _, frame, types = table(name)
    if frame[name].dtype == object:
        return  # the hole may be None, NaN or NA
    codec = TableCodec(types).fit(frame)
    assert_frame_equal(codec.decode(codec.encode(frame)[0]), frame, check_exact=True)


@each
def test_codecs_pickle_and_compare_by_value(name):
    frame, holes, types = table(name)
    codec = TableCodec(types).fit(frame)
    again = pickle.loads(pickle.dumps(codec))
    assert again == codec == TableCodec(types).fit(frame.copy())
    assert codec != TableCodec(types)
    assert_frame_equal(again.fill(holes, reals(5)), codec.fill(holes, reals(5)))


@each
def test_a_codec_of_the_complete_table_fills_one_with_holes(name):
    frame, holes, types = table(name)
    codec = TableCodec(types).fit(frame)
    values, _ = codec.encode(frame)
    filled = codec.fill(holes, values)
    assert filled.dtypes.equals(holes.dtypes)
    assert filled[name].tolist() == frame[name].tolist()


@each
def test_a_column_without_a_seen_cell_gets_the_dtype_of_the_fit(name):
    frame, _, types = table(name)
    codec = TableCodec(types).fit(frame)
    values, _ = codec.encode(frame)
    for empty in ([None] * 5, [np.nan] * 5, [pd.NA] * 5):
        new = pd.DataFrame({name: pd.Series(empty, dtype=object)})
        assert not codec.encode(new)[1].any()
        assert_frame_equal(codec.fill(new, values), frame, check_exact=True)
        assert_frame_equal(codec.fill(new, values * np.nan), new)


@each
def test_an_empty_table_stays_empty(name):
    frame, _, types = table(name)
    codec = TableCodec(types).fit(frame)
    none = frame.iloc[:0]
    values, observed = codec.encode(none)
    assert values.shape == observed.shape == (0, 1)
    assert_frame_equal(codec.fill(none, values), none)
    assert codec.decode(values).dtypes.equals(frame.dtypes)


# --- inference -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_kinds_are_inferred(name):
    for frame in table(name)[:2]:
        (column,) = TableCodec().fit(frame).columns
        assert column.kind == KINDS[name]
        assert column.dtype == frame[name].dtype


@pytest.mark.parametrize("hole", [None, np.nan, pd.NA, pd.NaT])
def test_every_spelling_of_a_hole_is_one(hole):
    for values, kind in (([1, 2.5, hole], "numeric"), (["a", "b", hole], "nominal")):
        frame = pd.DataFrame({"a": pd.Series(values, dtype=object)})
        codec = TableCodec().fit(frame)
        assert codec.columns[0].kind == kind
        assert codec.encode(frame)[1].ravel().tolist() == [True, True, False]
        assert codec.fill(frame, [[0], [0], [0]])["a"].isna().sum() == 0


def test_nan_and_na_in_one_nullable_column():
    divided = pd.Series([0.0, 1.0, pd.NA, 3.0], dtype="Float64") / pd.Series([0.0, 1, 1, 1])
    frame = pd.DataFrame({"a": divided, "b": divided})
    codec = TableCodec(column_types={"b": "nominal"}).fit(frame)
    values, observed = codec.encode(frame)
    np.testing.assert_array_equal(values[1::2], [[1, 0], [3, 1]])
    assert observed.tolist() == [[False] * 2, [True] * 2] * 2
    assert codec.fill(frame, np.ones((4, 2)))["b"].tolist() == [3.0, 1.0, 3.0, 3.0]


def test_what_is_known_of_a_column():
    frame = pd.DataFrame(
        {
            "size": pd.Categorical(["L", "S", None], dtype=SIZES),
            "flag": [True, True, None],
            "day": pd.to_datetime(["2020-01-05 10:00", "2020-01-02 10:00", None]),
            "n": [4.0, 2.0, None],
        }
    )
    size, flag, day, n = TableCodec(bounds={"n": (0.5, None)}).fit(frame).columns
    assert size == Column(
        "size", "ordinal", SIZES, levels=("S", "M", "L", "XL"), seen_levels=(0, 2), step=1.0
    )
    assert (size.n_levels, flag.n_levels, day.n_levels, n.n_levels) == (4, 2, 0, 0)
    assert (flag.levels, flag.seen_levels) == ((False, True), (1,))
    assert (day.origin, day.step) == (np.datetime64("2020-01-02T10:00"), 86400)
    assert (n.levels, n.lower, n.upper, n.step) == (None, 0.5, np.inf, 1)


def test_draws_are_levels_that_were_seen():
    frame = pd.DataFrame({"size": pd.Categorical(["L", "S", None], dtype=SIZES)})
    codec = TableCodec().fit(frame)
    rows = codec.decode(np.array([[-3], [0.9], [1.1], [2], [3]]))
    assert rows["size"].tolist() == ["S", "S", "L", "L", "L"]
    new = pd.DataFrame({"size": pd.Categorical(["XL", None, "M"], dtype=SIZES)})
    assert codec.fill(new, [[0], [0], [0]])["size"].tolist() == ["XL", "S", "M"]


def test_levels_in_the_order_of_a_list():
    frame = pd.DataFrame({"size": ["S", "L", None]})
    codec = TableCodec(column_types={"size": ["S", "M", "L"]}).fit(frame)
    np.testing.assert_array_equal(codec.encode(frame)[0].ravel(), [0, 2, np.nan])
    new = pd.DataFrame({"size": ["M", "L", "S"]})
    np.testing.assert_array_equal(codec.encode(new)[0].ravel(), [1, 2, 0])


@pytest.mark.parametrize(
    ("n_levels", "n_rows", "refused"),
    [
        (12, 12, False),
        (19, 19, False),
        (20, 20, True),
        (29, 30, True),
        (60, 60, True),
        (26, 40, False),
        (99, 110, False),
        (100, 110, True),
        (100, 190, False),
        (101, 190, True),
    ],
)
def test_text_in_which_most_values_differ_is_no_category(n_levels, n_rows, refused):
    texts = [f"id {i % n_levels}" for i in range(n_rows)]
    frame = pd.DataFrame({"a": [*texts, None, None]})
    if refused:
        with pytest.raises(ValueError, match=f"{n_levels} different texts in {n_rows} seen cells"):
            TableCodec().fit(frame)
    else:
        assert TableCodec().fit(frame).columns[0].n_levels == n_levels
    assert TableCodec({"a": "nominal"}).fit(frame).columns[0].n_levels == n_levels


def test_text_with_many_levels_passes_if_declared_or_repeated():
    names = [f"name {i:03}" for i in range(150)]
    assert TableCodec({"a": "nominal"}).fit(pd.DataFrame({"a": names})).columns[0].n_levels == 150
    assert TableCodec().fit(pd.DataFrame({"a": names * 2})).columns[0].kind == "nominal"
    frame = pd.DataFrame({"a": pd.Categorical(names)})
    assert TableCodec().fit(frame).columns[0].kind == "nominal"


# --- what is written -------------------------------------------------------------------------


def test_numbers_stay_in_the_range_of_their_dtype():
    for dtype in ("int8", "UInt8", "uint8[pyarrow]", "int64"):
        frame = pd.DataFrame({"a": pd.Series([1, 2, 3], dtype=dtype)})
        rows = TableCodec().fit(frame).decode([[1e300], [-1e300], [2.5]])
        limits = np.iinfo(np.dtype(getattr(frame["a"].dtype, "numpy_dtype", dtype)))
        expected = [min(limits.max, 2**53 - 1), max(limits.min, 1 - 2**53), 2]
        assert rows["a"].tolist() == expected


@pytest.mark.parametrize("dtype", ["float32", "float64", "Float32", "float[pyarrow]", "object"])
def test_numbers_are_clipped_into_their_bounds(dtype):
    frame = pd.DataFrame({"a": pd.Series([0.25, None, 0.5, 0.75], dtype=dtype)})
    codec = TableCodec(bounds={"a": (0.1, 0.9)}).fit(frame)
    for value in (0.1, 0.9, -4.0, 7.0, np.nextafter(0.1, 0), np.nextafter(0.9, 1)):
        filled = codec.fill(frame, np.full((4, 1), value))
        assert 0.1 <= float(filled["a"].iloc[1]) <= 0.9
        codec.encode(filled)


def test_whole_numbers_are_clipped_into_their_bounds():
    frame = pd.DataFrame({"a": [1.0, 3.0, None, None]})
    codec = TableCodec(bounds={"a": (0.2, 3.7)}).fit(frame)
    assert codec.fill(frame, [[0], [0], [-9], [9]])["a"].tolist() == [1, 3, 1, 3]


def test_times_are_clipped_into_their_bounds():
    zone = "Europe/Paris"
    days = pd.to_datetime(["2020-03-28", "2020-03-31", None, None]).tz_localize(zone)
    frame = pd.DataFrame({"when": days, "long": pd.to_timedelta([1, 4, None, None], unit="D")})
    bounds = {"when": ("2020-03-28", pd.Timestamp("2020-04-02", tz=zone)), "long": ("1D", "6.5D")}
    codec = TableCodec(bounds=bounds).fit(frame)
    filled = codec.fill(frame, np.array([[0.0, 0.0]] * 2 + [[-1e9, -1e9], [1e9, 1e9]]))
    ends = pd.to_datetime(["2020-03-28", "2020-04-02"]).tz_localize(zone)
    assert filled["when"].iloc[2:].tolist() == list(ends)
    assert filled["long"].iloc[2:].tolist() == [pd.Timedelta("1D"), pd.Timedelta("6D")]


def test_times_lie_on_the_grid_of_those_seen():
    frame = pd.DataFrame({"when": pd.to_datetime(["2020-01-01 09:30", "2020-02-01 09:30"])})
    rows = TableCodec().fit(frame).decode([[86400 * 1.4], [86400 * 1.6], [-3.0]])
    expected = ["2020-01-02 09:30", "2020-01-03 09:30", "2020-01-01 09:30"]
    assert rows["when"].tolist() == list(pd.to_datetime(expected))


FAR_APART = {
    "decades": [1, 10**18 + 1, 10**18 + 2],
    "centuries": [-(2**63) + 1, 10**18, 2**63 - 1],
    "a day from the end": [2**63 - 1 - 9 * 86400 * 10**9, 2**63 - 1],
    "many": np.random.default_rng(0).integers(-9 * 10**18, 9 * 10**18, 99).tolist(),
}


@pytest.mark.parametrize("name", FAR_APART)
@pytest.mark.parametrize("dtype", ["M8[ns]", "m8[ns]"])
def test_seen_nanoseconds_come_back_however_far_apart(name, dtype):
    ticks = np.array(FAR_APART[name])
    ticks = np.clip(ticks, -(2**63) + 10**15, 2**63 - 10**15) if dtype == "m8[ns]" else ticks
    frame = pd.DataFrame({"a": ticks.view(dtype)})
    codec = TableCodec().fit(frame)
    again = codec.decode(codec.encode(frame)[0])["a"]
    assert set(again) <= set(frame["a"])  # times closer than seconds can tell may be exchanged
    assert (again - frame["a"]).abs().max() <= pd.Timedelta("2us")
    assert codec.decode([[1e30], [-1e30], [7e9]])["a"].notna().all()


def test_times_between_those_far_apart_are_nearly_exact():
    ends = np.array([-(2**63) + 1, 2**63 - 1], "M8[ns]")
    codec = TableCodec().fit(pd.DataFrame({"a": ends}))
    (middle,) = codec.decode([[2.0**33]])["a"]
    expected = pd.Timestamp((-(2**63) + 1) + 2**33 * 10**9)
    assert abs(middle - expected) <= pd.Timedelta(2**64 * 2.0**-53 * 2, unit="ns")


FOREIGN = [
    ("flags beside holes", [True, False, True], pd.Series([True, None, False], dtype=object)),
    ("flags as floats", [True, False, True], pd.Series([1.0, None, 0.0])),
    ("whole numbers beside holes", [1, 2, 3], pd.Series([7.0, None, 2.5])),
    ("small whole numbers", [1.5, 2.5, 3.5], pd.Series([7, None, 2], dtype="Int8")),
    ("half precision", [1.5, 1e9, 3.5], pd.Series([7, None, 2], dtype="float16")),
    ("objects", [1.5, 2.5, 3.5], pd.Series([7, None, 2.5], dtype=object)),
    ("text of Arrow", ["a", "b", "c"], pd.Series(["c", None, "a"], dtype=ARROW_TEXT)),
    ("text as category", ["a", "b"], pd.Series(pd.Categorical(["b", None], ["c", "b", "a"]))),
    ("other zone", MINUTES.tz_localize("UTC"), pd.Series(DAYS.tz_localize("Asia/Tokyo"))),
    ("other resolution", MINUTES.as_unit("us"), pd.Series(DAYS.as_unit("s"))),
]


@pytest.mark.parametrize(("seen", "new"), [c[1:] for c in FOREIGN], ids=[c[0] for c in FOREIGN])
def test_a_new_table_keeps_its_own_dtypes(seen, new):
    codec = TableCodec().fit(pd.DataFrame({"a": seen}))
    frame = new.where(new.index != 1).to_frame("a")
    for value in reals(9).ravel():
        filled = codec.fill(frame, np.full(frame.shape, value))
        assert filled["a"].dtype == new.dtype
        assert filled["a"].notna().all()
        assert_frame_equal(filled.drop(1), frame.drop(1), check_exact=True)
        codec.encode(filled)


def test_a_category_without_levels_of_the_fit_gets_them():
    codec = TableCodec().fit(pd.DataFrame({"a": pd.Categorical(["x", "y", "z"])}))
    new = pd.DataFrame({"a": pd.Categorical(["z", None])})
    filled = codec.fill(new, [[0], [1]])
    assert filled["a"].dtype == codec.columns[0].dtype
    assert filled["a"].tolist() == ["z", "y"]
    codec = TableCodec({"a": "nominal"}).fit(pd.DataFrame({"a": [1, 2, 3]}))
    filled = codec.fill(pd.DataFrame({"a": pd.Categorical([3, None])}), [[0], [1]])
    assert filled["a"].tolist() == [3, 2]


# --- tables ----------------------------------------------------------------------------------


def wide():
    """Return a table of many columns with names, index and holes of all sorts."""
    frame = pd.DataFrame({name: with_holes(series) for name, series in COMPLETE.items()})
    frame.columns = [7, ("a", 1), None, *frame.columns[3:]]
    frame.columns.name = "names"
    frame.index = pd.MultiIndex.from_product([["u", "v"], [3, 1, 2]], names=["k", None])[:5]
    return frame


def test_names_and_index_come_back():
    frame = wide()
    codec = TableCodec().fit(frame)
    values, observed = codec.encode(frame)
    assert_frame_equal(codec.fill(frame, values), frame, check_exact=True)
    filled = codec.fill(frame, np.where(observed, values, 1.0))
    assert filled.notna().all().all()
    assert_frame_equal(filled.drop(filled.index[HOLES]), frame.drop(frame.index[HOLES]))
    rows = codec.decode(np.ones(frame.shape), index=frame.index)
    assert rows.index.equals(frame.index)
    assert rows.columns.equals(frame.columns)
    assert rows.columns.names == frame.columns.names
    assert rows.dtypes.equals(frame.dtypes)


def test_columns_with_two_rows_of_names():
    frame = pd.DataFrame({("a", "x"): [1.5, None], ("a", "y"): ["u", None]})
    codec = TableCodec(column_types={("a", "y"): ["t", "u"]}).fit(frame)
    assert_frame_equal(codec.decode(codec.encode(frame)[0]), frame)


@pytest.mark.parametrize("dtype", ["float64", "float32", "object"])
def test_arrays_come_back_as_arrays(dtype):
    X = np.array([[1.5, 2], [np.nan, 3], [0.5, np.nan]], dtype=dtype)
    codec = TableCodec(column_types={1: "nominal"}, bounds={0: (0, 9)}).fit(X)
    assert [column.name for column in codec.columns] == [0, 1]
    assert [column.kind for column in codec.columns] == ["numeric", "nominal"]
    filled = codec.fill(X, np.full((3, 2), 20.0))
    assert isinstance(filled, np.ndarray)
    assert filled.flags.writeable
    assert filled.dtype == X.dtype
    assert filled.tolist() == [[1.5, 2], [9, 3], [0.5, 3]]
    assert np.isnan(float(X[1, 0]))


def test_arrays_and_named_tables_of_one_codec_agree_by_position():
    frame = pd.DataFrame({"a": [1.5, None, 3], "b": [2, 3, 4]})
    X = frame.to_numpy()
    named, unnamed = TableCodec().fit(frame), TableCodec().fit(X)
    for codec in (named, unnamed):
        np.testing.assert_array_equal(codec.encode(X)[0], codec.encode(frame)[0])
        filled = codec.fill(X, np.full((3, 2), 0.5))
        assert isinstance(filled, np.ndarray)
        assert_frame_equal(codec.fill(frame, np.full((3, 2), 0.5)), frame.fillna(0.5))
        np.testing.assert_array_equal(filled, frame.fillna(0.5))
    assert_frame_equal(named.decode([[1, 2]]), pd.DataFrame({"a": [1.0], "b": [2]}))
    assert unnamed.decode([[1, 2]]).columns.tolist() == [0, 1]


def test_arrays_of_objects_keep_their_objects():
    X = np.array([["a", 1, True], [None, None, None], ["b", 2.5, False]], dtype=object)
    codec = TableCodec().fit(X)
    assert [column.kind for column in codec.columns] == ["nominal", "numeric", "boolean"]
    filled = codec.fill(X, np.full((3, 3), 0.7))
    assert filled.tolist() == [["a", 1, True], ["b", 0.7, True], ["b", 2.5, False]]
    assert filled.dtype == object
    whole = np.array([[1, 2], [3, 4]])
    np.testing.assert_array_equal(TableCodec().fit(whole).fill(whole, whole), whole)


def test_filled_objects_are_python_objects():
    frame = pd.DataFrame({"n": [1, 2, None], "x": [0.5, 1, None], "b": [True, False, None]})
    filled = TableCodec().fit(frame.astype(object)).fill(frame.astype(object), np.ones((3, 3)))
    assert [type(value) for value in filled.iloc[2]] == [int, float, bool]


# --- errors ----------------------------------------------------------------------------------

NUMBERS = pd.DataFrame({"a": [1.5, 2.5, None]})
MIXED = pd.DataFrame({"a": [1.5, 2.5, None], "s": ["u", "v", None], "t": [*DAYS[:2], pd.NaT]})


def fit(data, types=None, bounds=None):
    return lambda: TableCodec(types, bounds=bounds).fit(pd.DataFrame(data))


def encode(data, seen=MIXED, **options):
    return lambda: TableCodec(**options).fit(seen).encode(data)


FIT_ERRORS = [
    (lambda: TableCodec().fit([[1, 2]]), "`frame` is a list; expected a pandas DataFrame or an"),
    (lambda: TableCodec().fit(np.ones(3)), r"`frame` is a ndarray of shape \(3,\); expected"),
    (lambda: TableCodec().fit(NUMBERS["a"]), r"`frame` is a Series of shape \(3,\)"),
    (lambda: TableCodec().fit(np.ones((3, 0))), "The table has no columns"),
    (lambda: TableCodec().encode(NUMBERS), "`TableCodec` is not fitted yet. Call `fit`"),
    (lambda: TableCodec().decode([[1]]), "`TableCodec` is not fitted yet. Call `fit`"),
    (
        lambda: TableCodec().fit(pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"])),
        r"more than one column named \['a'\]",
    ),
    (fit({"a": [1, 2], "b": [None, None]}), r"Nothing was seen in columns \['b'\]"),
    (fit({"a": []}), r"Nothing was seen in columns \['a'\]"),
    (
        fit({"a": [1, np.inf, -np.inf]}),
        "Column 'a' has 2 infinities, the first in row 1",
    ),
    (fit({"a": [1, 2**53]}), "whole number 9007199254740992; expected less than 2"),
    (fit({"a": pd.array([1, -(2**60)], "Int64")}), "whole number -1152921504606846976;"),
    (fit({"a": pd.array([1, 2**63], "uint64[pyarrow]")}), "whole number 9223372036854775808;"),
    (fit({"a": pd.Series([1, 10**400], dtype=object)}), "whole number 10000000"),
    (
        fit({"a": [f"id {i}" for i in range(200)]}),
        "200 different texts in 200 seen cells; .*drop|Drop",
    ),
    (
        fit({"a": [1, "x", None]}),
        r"Column 'a' \(dtype object\) has values of type int, str",
    ),
    (fit({"a": [[1], [2]]}), "values of type list; expected numbers, flags, text"),
    (fit({"a": [[1], [2]]}, {"a": "nominal"}), r"cannot be compared, such as \[1\]"),
    (fit({"a": [decimal.Decimal(1)]}), "values of type Decimal; .* with `pandas.to_numeric`"),
    (
        fit({"a": pd.array([decimal.Decimal(1), None], pd.ArrowDtype(pa.decimal128(5, 2)))}),
        r"dtype decimal128\(5, 2\)\[pyarrow\]\) .* Convert it with `.astype\('float64'\)`",
    ),
    (fit({"a": [datetime.date(2020, 1, 1)]}), "values of type date; .* with `pandas.to_datetime`"),
    (
        fit({"a": pd.Series([DAYS[0], None], dtype=object)}),
        "values of type Timestamp; .* with `pandas.to_datetime`",
    ),
    (
        fit({"a": pd.Series([SPANS[0], None], dtype=object)}),
        "values of type Timedelta; .* with `pandas.to_timedelta`",
    ),
    (fit({"a": [1, "a", 2.5]}), r"float, int, str; .* with `.astype\('string'\)`, or drop it"),
    (fit({"a": [1j]}), "values of type complex; .* to two columns, real and"),
    (
        fit({"a": pd.period_range("2020", periods=2, freq="D")}),
        r"dtype period\[D\]\) .* category: `column_types=\{'a': 'nominal'\}`",
    ),
    (
        fit({"a": [decimal.Decimal(1)]}, {"a": "numeric"}),
        "'a' 'numeric', but it has other things .* with `pandas.to_numeric`",
    ),
    (fit({"a": pd.arrays.SparseArray([1.0, 2.0])}), r"sparse columns, \['a'\]; .*to_dense"),
    (
        fit({"a": pd.arrays.SparseArray([1.0, 2.0])}, {"a": "nominal"}),
        r"sparse columns, \['a'\]; expected dense ones",
    ),
    (
        fit({"a": np.array(["0000-01-01", "2020-01-01"], "M8[s]")}),
        "expected the years 1 to 9999",
    ),
]
TYPE_ERRORS = [
    (fit(MIXED, ["nominal"]), "`column_types` is .*; expected a mapping from names of columns"),
    (
        fit(MIXED, {"q": "nominal"}),
        r"`column_types` names the columns \['q'\], but the table has \['a', 's'",
    ),
    (
        fit(MIXED, {"a": "real"}),
        r"`column_types` calls column 'a' 'real'; expected one of \['numeric'",
    ),
    (fit(MIXED, {"a": 3}), r"`column_types\['a'\]` is 3; expected one of \['numeric'"),
    (fit(MIXED, {"s": "numeric"}), r"'s' 'numeric', but it has text \(dtype str\)"),
    (fit(MIXED, {"t": "integer"}), "'t' 'integer', but it has times"),
    (fit(MIXED, {"s": "datetime"}), "'s' 'datetime', but it has text .*pandas.to_datetime"),
    (fit(MIXED, {"a": "integer"}), "'a' 'integer', but it has the value 1.5; expected whole"),
    (fit(MIXED, {"a": "boolean"}), r"has the values \[1.5, 2.5\], but its levels are \[0, 1\]"),
    (fit(MIXED, {"s": "ordinal"}), "'s' 'ordinal', but it has text, which has no order"),
    (fit(MIXED, {"s": ["u"]}), r"has the values \['v'\], but its levels are \['u'\]"),
    (fit(MIXED, {"s": []}), r"`column_types\['s'\]` is an empty list; expected the levels"),
    (fit(MIXED, {"s": ["u", "v", "u"]}), r"list of 3 levels, of which \['u'\] stand there more"),
    (fit({"a": pd.Categorical(["x"])}, {"a": ["x", "y"]}), r"lists the levels \['y'\], but the"),
    (fit({"a": [1, "x"]}, {"a": "nominal"}), "mixes values of type int, str, which have no order"),
    (fit(MIXED, None, {"q": (0, 1)}), r"`bounds` names the columns \['q'\]"),
    (fit(MIXED, None, {"s": (0, 1)}), "`bounds` names column 's', which is nominal; expected"),
    (fit(MIXED, None, {"a": 3}), r"`bounds\['a'\]` is 3; expected a pair \(lower, upper\)"),
    (fit(MIXED, None, {"a": (3, 1)}), r"`bounds\['a'\]` is \(3, 1\).* lower not above upper"),
    (fit(MIXED, None, {"a": (np.nan, 1)}), r"`bounds\['a'\]` is \(nan, 1\)"),
    (fit(MIXED, None, {"a": ("x", 1)}), "pair .* of numbers.*could not convert"),
    (fit(MIXED, None, {"t": ("soon", None)}), "of times.*soon"),
    (
        fit(MIXED, None, {"t": (pd.Timestamp("2020", tz="UTC"), None)}),
        "no time zone, but this bound",
    ),
    (
        fit(MIXED, None, {"a": (2, None)}),
        r"has the value 1.5 in row 0, but `bounds\['a'\]` is \(2, N",
    ),
    (fit(MIXED, None, {"t": (None, "2020-03-28")}), "has the value 2020-03-29 00:00:00 in row 1"),
]
ENCODE_ERRORS = [
    (encode(MIXED[["a", "s"]]), r"it comes without \['t'\]"),
    (encode(MIXED.assign(q=1)), r"it comes with \['q'\] in addition"),
    (encode(MIXED.rename(columns={"a": "b"})), r"it comes without \['a'\] and with \['b'\]"),
    (encode(MIXED[["s", "a", "t"]]), r"has the columns \['s', 'a', 't'\], .* in another order"),
    (encode(np.ones((2, 2)), NUMBERS), "has 2 columns, but 1 were expected, as in the fit"),
    (encode(MIXED, np.ones((2, 2))), "has 3 columns, but 2 were expected, as in the fit"),
    (
        encode(NUMBERS.astype(pd.SparseDtype(float)), NUMBERS),
        r"sparse columns, \['a'\]; expected dense ones",
    ),
    (encode(MIXED.assign(s="w")), r"'s' has the values \['w'\], but its levels are"),
    (encode(MIXED.assign(s=1)), r"'s' has the values \[1\], but its levels are"),
    (encode(MIXED.assign(a=np.inf)), "has 3 infinities"),
    (encode(MIXED.assign(a="x")), r"'a' has text \(dtype str\), but numbers were"),
    (encode(MIXED.assign(a=True)), r"'a' has flags \(dtype bool\), but numbers were"),
    (encode(MIXED.assign(t=1)), "'t' has numbers .*but times without a time zone"),
    (encode(MIXED.assign(t=DAYS[0].tz_localize("UTC"))), "but times without a time zone were"),
    (encode(MIXED.assign(t=pd.Timedelta(1))), "has durations .*but times without"),
    (encode(MIXED.assign(a=-1), bounds={"a": (0, None)}), "has the value -1 in row 0"),
]
CODED = TableCodec().fit(pd.DataFrame({"a": [1, 2]}))
VALUE_ERRORS = [
    (
        lambda: CODED.fill(pd.DataFrame({"a": [1]}), [[1], [2]]),
        r"shape \(2, 1\); expected \(1, 1\)",
    ),
    (lambda: CODED.decode([1, 2]), r"`values` has shape \(2,\); expected \(n, 1\)"),
    (lambda: CODED.decode([[1]], index=[1, 2]), "`index` has length 2, but `values` has 1 rows"),
    (lambda: CODED.decode([[np.inf]]), r"`values` has infinities in columns \[0\]"),
    (lambda: CODED.decode([[np.nan]]), "NaN in column 'a', whose dtype int64 has no place for a"),
]
ERRORS = FIT_ERRORS + TYPE_ERRORS + ENCODE_ERRORS + VALUE_ERRORS


@pytest.mark.parametrize(("call", "sentence"), ERRORS)
def test_errors_are_sentences(call, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence) as caught:
        call()
    assert str(caught.value).endswith(".")


# --- the imputer's door ----------------------------------------------------------------------


def imputer(X, **options):
    return ScoreMatchingImputer(engine="gaussian", **options).fit(X)


def holed(n=20):
    """Return a table of numbers, whole numbers and flags, with holes."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, 2)), columns=["a", "b"])
    frame["i"], frame["f"] = rng.integers(0, 5, n), rng.random(n) < 0.5
    frame.loc[3, "a"], frame.loc[5, "b"] = np.nan, np.nan
    return frame


@pytest.mark.parametrize("engine", ["auto", "gaussian"])
def test_numbers_with_names_and_without_are_imputed_alike(engine):
    frame = holed()[["a", "b", "i"]]
    X = frame.to_numpy(dtype=float)
    for seen, sentence in ((frame, "does not have valid"), (X, "has feature names, but")):
        fitted = ScoreMatchingImputer(engine=engine).fit(seen)
        other = X if seen is frame else frame
        with pytest.warns(UserWarning, match=f"^X {sentence}") as caught:
            filled = fitted.transform(other)
        assert len(caught) == 1
        assert type(filled) is type(other)
        np.testing.assert_array_equal(np.asarray(filled, float), fitted.transform(seen))
        with pytest.warns(UserWarning, match=f"^X {sentence}"):
            assert type(fitted.impute(other, 1, random_state=0)[0]) is type(other)


def test_columns_without_text_for_names_are_known_by_position():
    frame = holed().set_axis([7, 5, 3, 2], axis=1)
    X = frame.to_numpy(dtype=float)
    np.testing.assert_array_equal(imputer(frame).transform(X), imputer(frame).transform(frame))
    with pytest.raises(ValueError, match=r"has flags \(dtype bool\), but numbers were expected"):
        imputer(X).transform(frame)


@pytest.mark.parametrize("engine", ["auto", "gaussian"])
@pytest.mark.parametrize("text", [False, True])
def test_a_table_without_rows_is_transformed_to_one(text, engine):
    frame = holed().assign(s=["u", "v"] * 10) if text else holed()[["a", "b"]]
    fitted = ScoreMatchingImputer(engine=engine).fit(frame)
    for filled in (fitted.transform(frame[:0]), *fitted.impute(frame[:0], 2)):
        assert_frame_equal(filled, frame[:0])


TIMES = np.array([["2020", "NaT"], ["2021", "2022"]], "M8[ns]")
DECIMALS = pd.array([decimal.Decimal("1.5"), None], pd.ArrowDtype(pa.decimal128(5, 2)))
DOOR = [
    (lambda: imputer(TIMES), r"`X` is an array of datetime64\[ns\]; expected numbers"),
    (lambda: imputer(TIMES - TIMES[0, 0]), r"`X` is an array of timedelta64\[ns\]"),
    (
        lambda: imputer(np.array([[1j], [2]])),
        "`X` is an array of complex128; expected real numbers",
    ),
    (lambda: imputer(pd.DataFrame({"a": [1j, 2]})), "'a' .dtype complex128. has values of type c"),
    (lambda: imputer(pd.DataFrame({"a": DECIMALS})), r"Convert it with `.astype\('float64'\)`"),
    (lambda: imputer(holed()[[]]), "The table has no columns; expected at least one"),
    (
        lambda: imputer(holed().set_axis(["a", "a", "b", "c"], axis=1)),
        r"more than one column named \['a'\]",
    ),
    (
        lambda: imputer(holed()).transform(holed().set_axis(["a", "a", "b", "c"], axis=1)),
        r"more than one column named \['a'\]",
    ),
    (
        lambda: imputer(holed().replace({"i": {4: np.inf}})),
        "'i' has 2 infinities, the first in row 11",
    ),
    (
        lambda: imputer(holed().assign(s=list("uv") * 10)).transform(np.ones((2, 5))),
        r"`X` is no DataFrame, but was one in the fit, .*not numbers: \['s'\]",
    ),
    (lambda: imputer(holed(), column_types={"a": []}), r"`column_types\['a'\]` is an empty list"),
    (lambda: imputer(holed(), column_types={"q": []}), r"`column_types` names the columns \['q'"),
    (
        lambda: GaussianScoreMatching().fit(holed().set_axis(["a", "a", "b", "c"], axis=1)),
        r"more than one column named \['a'\]",
    ),
    (
        lambda: GaussianScoreMatching().fit(pd.DataFrame({"a": DECIMALS})),
        r"not numbers: \['a'\].* decimals `X.astype",
    ),
    (lambda: GaussianScoreMatching().fit(TIMES), r"`X` is an array of datetime64\[ns\]"),
]


@pytest.mark.parametrize(("call", "sentence"), DOOR)
def test_what_an_estimator_cannot_read_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert str(caught.value).endswith(".")
