"""The command line: what was observed comes back to the letter, and errors take one line."""

import csv
import gzip
import importlib.util
import io
import subprocess
import sys
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sm_estimators.cli import app
from sm_estimators.cli.command_error import CommandError
from sm_estimators.cli.tables import read_table, write_frame

runner = CliRunner()


def call(*arguments, code=0):
    result = runner.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def refuse(*arguments, code):
    """Return the one line on stderr of a call that must fail."""
    result = call(*arguments, code=code)
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("error: "), result.stderr
    assert "Traceback" not in result.output
    assert len([line for line in lines if not line.startswith(("note:", "warning:"))]) == 1
    return lines[-1]


@pytest.fixture(scope="module")
def numbers():
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal([0, 10, -3], [[1, 0.8, 0], [0.8, 1, 0.3], [0, 0.3, 2]], size=80)
    observed = rng.random(X.shape) > 0.2
    observed[0] = True
    return X, observed


@pytest.fixture
def table(tmp_path, numbers):
    """Write a table whose cells are spelled in every way a cell can be."""
    X, observed = numbers
    spell = ["{:.3f}", "{:+.2e}", " {:.1f} ", '"{:.2f}"', "{:.17g}", "{:08.3f}"]
    holes = ["", "NA", "NaN", '"null"', " None ", "?", '""', "nan"]
    lines = ['town,"a, or ""alpha""",b,note,c\r\n']
    for i, (row, seen) in enumerate(zip(X, observed, strict=True)):
        cells = [
            spell[(i + j) % 6].format(x) if s else holes[(i + 3 * j) % 8]
            for j, (x, s) in enumerate(zip(row, seen, strict=True))
        ]
        town = ["Oslo", '"Rio, Brazil"', "NA", "São Paulo"][i % 4]
        note = ['"two\nlines"', '"say ""hi"""', "", "5 o'clock"][i % 4]
        lines.append(
            ",".join([town, cells[0], cells[1], note, cells[2]]) + "\n\r\n"[i % 2 :][: 1 + i % 2]
        )
    path = tmp_path / "table.csv"
    path.write_bytes(("\ufeff" + "".join(lines)).encode())
    return path


@pytest.fixture
def small(tmp_path, numbers):
    path = tmp_path / "small.csv"
    X, observed = numbers
    frame = pd.DataFrame(np.where(observed, X, np.nan), columns=["a", "b", "c"])
    frame.to_csv(path, index=False)
    return path


def parsed(path):
    return list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


def is_hole(cell):
    return cell.strip() in {"", "NA", "NaN", "nan", "null", "None", "?"}


# Reading and writing ---------------------------------------------------------------------------


def test_a_table_nobody_filled_comes_back_to_the_byte(table, tmp_path):
    read_table(table).with_values({}).write(tmp_path / "copy.csv")
    assert (tmp_path / "copy.csv").read_bytes() == table.read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2",
        "a,b\r\n1,\r\n,4\r\n",
        "a,b\r1,2\r3,4\r",
        "a\n1\n\n3\n",
        'a,b\n\n1,"2"\n\n\n',
        'a,b\n1,5" wide\n2,"x"y\n',
        "a,b\n1,\n",
    ],
)
def test_every_shape_of_text_comes_back_to_the_byte(text, tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes(text.encode())
    table = read_table(path)
    table.with_values({}).write(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == text.encode()
    expected = pd.read_csv(path, skip_blank_lines="," in text)
    assert table.n_rows == len(expected)
    for column in table.columns:
        if column.values is not None:
            np.testing.assert_array_equal(column.values, expected[column.name].astype(float))


def test_only_holes_are_written(table, tmp_path):
    read = read_table(table)
    values = {column.name: np.full(80, 0.1 + 0.2) for column in read.columns if column.name != "c"}
    del values["town"], values["note"]
    read.with_values(values).write(tmp_path / "filled.csv")
    before, after = parsed(table), parsed(tmp_path / "filled.csv")
    assert before[0] == after[0] == ["town", 'a, or "alpha"', "b", "note", "c"]
    for old, new in zip(before[1:], after[1:], strict=True):
        assert [old[0], *old[3:]] == [new[0], *new[3:]]
        assert new[1:3] == ["0.30000000000000004" if is_hole(x) else x for x in old[1:3]]


def test_numbers_are_read_as_python_reads_them(table, numbers):
    X, observed = numbers
    columns = {column.name: column for column in read_table(table).columns}
    assert [columns[name].kind for name in ("town", "note")] == ["text", "text"]
    for j, name in enumerate(['a, or "alpha"', "b", "c"]):
        seen = columns[name].values
        np.testing.assert_array_equal(np.isnan(seen), ~observed[:, j])
        # the coarsest spelling has one decimal, or three digits of numbers below 20
        np.testing.assert_allclose(seen[observed[:, j]], X[observed[:, j], j], atol=0.051)


def test_own_spellings_of_holes_match_as_text_and_as_numbers(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n-999,1\n-999.0,n/a\n3,4\n")
    a, b = read_table(path, ["-999", "n/a"]).columns
    np.testing.assert_array_equal(a.values, [np.nan, np.nan, 3])
    np.testing.assert_array_equal(b.values, [1, np.nan, 4])


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.tsv.gz", "t.parquet"])
def test_new_tables_are_read_back_in_every_format(name, tmp_path):
    frame = pd.DataFrame({"a": [0.1, 1e-300], "b, c": [2.5, -3.0]})
    write_frame(frame, tmp_path / name)
    for column in read_table(tmp_path / name).columns:
        np.testing.assert_array_equal(column.values, frame[column.name])


# impute ----------------------------------------------------------------------------------------


def test_impute_keeps_every_observed_cell_to_the_letter(table, tmp_path):
    output = tmp_path / "filled.csv"
    result = call("impute", table, "--output", output, "--density", "gaussian")
    read = read_table(table)
    text, filled = table.read_bytes().decode(), output.read_bytes().decode()
    raw = [line for line in read.lines if line != [""]]
    new = [line for line in read_table(output).lines if line != [""]]
    for i, (old_cells, new_cells) in enumerate(zip(raw, new, strict=True)):
        for j, (old, got) in enumerate(zip(old_cells, new_cells, strict=True)):
            if i and j in (1, 2, 4) and is_hole(old.strip('"')):
                assert np.isfinite(float(got))
            else:
                assert got == old
    assert text.count("\r\n") == filled.count("\r\n")
    assert "`town` (text), `note` (text)" in result.stderr
    assert "rule for holes in the fit: imputation" in result.stderr
    assert result.stdout == ""


def test_the_mean_is_the_conditional_mean_of_the_estimator(small, tmp_path):
    from sm_estimators import GaussianScoreMatching

    call("impute", small, "--output", tmp_path / "mean.csv", "--ridge", "0.01")
    X = pd.read_csv(small)
    est = GaussianScoreMatching(ridge=0.01, random_state=0).fit(X)
    expected = X.to_numpy(copy=True)
    for row in expected:
        h = np.isnan(row)
        S, m = est.covariance_, est.location_
        row[h] = m[h] + S[np.ix_(h, ~h)] @ np.linalg.solve(S[np.ix_(~h, ~h)], (row - m)[~h])
    np.testing.assert_allclose(pd.read_csv(tmp_path / "mean.csv"), expected, rtol=1e-6, atol=1e-8)


def test_draws_are_numbered_reproducible_and_differ(small, tmp_path):
    for name, seed in [("one", 1), ("again", 1), ("other", 2)]:
        call("impute", small, "-o", tmp_path / f"{name}.csv", "-m", 2, "--seed", seed)
    text = {path.stem: path.read_text() for path in tmp_path.glob("*-*.csv")}
    assert sorted(text) == ["again-1", "again-2", "one-1", "one-2", "other-1", "other-2"]
    assert text["one-1"] == text["again-1"]
    assert text["one-2"] == text["again-2"]
    assert len({text["one-1"], text["one-2"], text["other-1"]}) == 3


def test_a_kept_model_imputes_alike(small, tmp_path):
    model = tmp_path / "m.joblib"
    call("impute", small, "-o", tmp_path / "a.csv", "--save-model", model, "--strategy", "draw")
    call("impute", small, "-o", tmp_path / "b.csv", "--load-model", model, "--strategy", "draw")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_kept_model_finds_its_columns_by_name(small, tmp_path):
    model = tmp_path / "m.joblib"
    call("impute", small, "-o", tmp_path / "a.csv", "--save-model", model)
    frame = pd.read_csv(small)[["c", "a", "b"]].assign(extra=1.5, town="Oslo")
    frame.to_csv(tmp_path / "wide.csv", index=False)
    result = call("impute", tmp_path / "wide.csv", "-o", tmp_path / "b.csv", "--load-model", model)
    assert "`extra` (float), `town` (text)" in result.stderr
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "b.csv")[["a", "b", "c"]], pd.read_csv(tmp_path / "a.csv")
    )
    frame[["a", "town"]].to_csv(tmp_path / "narrow.csv", index=False)
    line = refuse(
        "impute", tmp_path / "narrow.csv", "-o", tmp_path / "x.csv", "--load-model", model, code=1
    )
    assert "needs `b`, `c`" in line
    assert "has `town`" in line


def test_skipped_columns_keep_their_holes(small, tmp_path):
    call("impute", small, "-o", tmp_path / "a.csv", "--skip", "b")
    before, after = pd.read_csv(small), pd.read_csv(tmp_path / "a.csv")
    pd.testing.assert_series_equal(before["b"], after["b"])
    assert after[["a", "c"]].notna().all(axis=None)


def test_a_table_without_holes_is_copied(tmp_path):
    path = tmp_path / "full.csv"
    path.write_text("a,b\n1,2\n3,4.50\n")
    result = call("impute", path, "-o", tmp_path / "out.csv", "--plot", tmp_path / "p.png")
    assert (tmp_path / "out.csv").read_text() == path.read_text()
    assert "no hole" in result.stderr


def test_pictures_are_drawn(small, tmp_path):
    call("impute", small, "-o", tmp_path / "a.csv", "--plot", tmp_path / "p.png")
    call("describe", small, "--plot", tmp_path / "q.svg")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "q.svg").read_text()


def test_quiet_says_nothing(table, tmp_path):
    result = call("impute", table, "-o", tmp_path / "a.csv", "--quiet")
    assert result.output == ""


def test_gzip_comes_back_as_gzip(small, tmp_path):
    packed = tmp_path / "small.csv.gz"
    packed.write_bytes(gzip.compress(small.read_bytes()))
    call("impute", packed, "-o", tmp_path / "out.csv.gz")
    call("impute", small, "-o", tmp_path / "out.csv")
    unpacked = gzip.decompress((tmp_path / "out.csv.gz").read_bytes())
    assert unpacked == (tmp_path / "out.csv").read_bytes()


def test_parquet_types_and_bits_come_back(numbers, tmp_path):
    X, observed = numbers
    frame = pd.DataFrame(
        {
            "double": np.where(observed[:, 0], X[:, 0], np.nan),
            "single": np.where(observed[:, 1], X[:, 1], np.nan).astype("float32"),
            "count": pd.array(np.where(observed[:, 2], (20 * X[:, 2]).round(), np.nan), "Int16"),
            "whole": np.arange(80, dtype="int32")[::-1],
            "when": pd.date_range("2020-01-01", periods=80),
            "town": pd.Categorical(["Oslo", None] * 40),
            "flag": pd.array([True, None] * 40, "boolean"),
        },
        index=pd.Index(np.arange(80) * 10, name="id"),
    )
    frame.to_parquet(tmp_path / "in.parquet")
    result = call("impute", tmp_path / "in.parquet", "-o", tmp_path / "out.parquet")
    before = pd.read_parquet(tmp_path / "in.parquet")
    after = pd.read_parquet(tmp_path / "out.parquet")
    assert "`count` are rounded" in result.stderr
    assert "`id` (index)" in result.stderr
    pd.testing.assert_index_equal(before.index, after.index)
    assert list(before.dtypes.items()) == list(after.dtypes.items())
    assert after.notna().all(axis=None)
    pd.testing.assert_frame_equal(after.where(before.notna()).astype(before.dtypes), before)


def test_parquet_categories_keep_their_levels(tmp_path):
    size = pd.CategoricalDtype(["low", "mid", "high", "never"], ordered=True)
    frame = pd.DataFrame(
        {
            "size": pd.Categorical(["high", "low", None, "mid"] * 10, dtype=size),
            "full": pd.Categorical(["b", "a"] * 20, categories=["z", "b", "a"]),
            "x": np.random.default_rng(0).normal(size=40),
        }
    )
    frame.to_parquet(tmp_path / "in.parquet")
    call("impute", tmp_path / "in.parquet", "-o", tmp_path / "out.parquet", "--engine", "gaussian")
    before, after = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("in", "out"))
    assert before["size"].dtype.categories.tolist() == list(size.categories)
    assert list(after.dtypes) == list(before.dtypes)
    assert after.notna().all(axis=None)
    pd.testing.assert_frame_equal(after.where(before.notna()).astype(before.dtypes), before)


@pytest.mark.parametrize("ordered", [False, True])
def test_levels_that_only_the_model_knows_follow_those_of_the_column(ordered, tmp_path):
    size = pd.CategoricalDtype(["low", "never"], ordered=ordered)
    frame = pd.DataFrame({"size": pd.Categorical(["low", None], dtype=size)})
    frame.to_parquet(tmp_path / "in.parquet")
    table = read_table(tmp_path / "in.parquet")
    filled = {"size": np.array(["low", "high"], object)}
    if ordered:
        with pytest.raises(CommandError, match=r"Column `size` has levels in an order.*'high'"):
            table.with_values(filled)
    else:
        (column,) = table.with_values(filled).arrow.to_pandas().items()
        assert column[1].tolist() == ["low", "high"]
        assert column[1].cat.categories.tolist() == ["low", "never", "high"]


@pytest.mark.parametrize("density", ["mixture", "energy"])
def test_other_densities_impute(density, small, tmp_path):
    few = tmp_path / "few.csv"
    pd.read_csv(small).head(30).to_csv(few, index=False)
    result = call(
        "impute", few, "-o", tmp_path / "a.csv", "--density", density, "-m", 2, "--max-iter", 50
    )
    assert f"fitting {density}" in result.stderr
    assert pd.read_csv(tmp_path / "a-2.csv").notna().all(axis=None)


# Columns of all kinds --------------------------------------------------------------------------


@pytest.fixture
def mixed(tmp_path):
    """Write a table of numbers, whole numbers, text, dates and identifiers, with holes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=120)
    frame = pd.DataFrame(
        {
            "id": [f"row {i}" for i in range(120)],
            "real": x.round(3),
            "count": pd.array(np.round(5 * x), "Int64"),
            "town": np.where(x > 0, "Rio, Brazil", 'the "Old" Town'),
            "day": (pd.Timestamp("2024-03-01") + pd.to_timedelta(np.round(9 * x), unit="D")),
        }
    )
    frame["day"] = frame["day"].dt.strftime("%Y-%m-%d")
    for j in range(1, 5):
        frame.isetitem(j, frame.iloc[:, j].mask(rng.random(120) < 0.2))
    frame.to_csv(tmp_path / "mixed.csv", index=False)
    return tmp_path / "mixed.csv"


def test_columns_of_all_kinds_are_filled(mixed, tmp_path):
    result = call("impute", mixed, "-o", tmp_path / "filled.csv", "--strategy", "draw")
    assert "fitting auto to 120 rows of 4 columns" in result.stderr
    assert "`id` (text)" in result.stderr
    before, after = (pd.read_csv(path, dtype=str) for path in (mixed, tmp_path / "filled.csv"))
    assert after.notna().all(axis=None)
    pd.testing.assert_frame_equal(after.where(before.notna()), before)
    for name in ("count", "town", "day"):
        assert set(after[name]) <= set(before[name].dropna())


def test_rows_of_all_kinds_are_drawn_and_scored(mixed, tmp_path):
    model = tmp_path / "m.joblib"
    call("sample", mixed, "-n", 30, "-o", tmp_path / "s.csv", "--save-model", model)
    drawn, X = pd.read_csv(tmp_path / "s.csv"), pd.read_csv(mixed)
    assert list(drawn) == ["real", "count", "town", "day"]
    assert set(drawn["town"]) <= set(X["town"].dropna())
    assert drawn["count"].isin(X["count"]).all()
    result = call("score", mixed, "-o", tmp_path / "rows.csv", "--load-model", model)
    assert "mean log-density of 120 rows" in result.stdout
    assert np.isfinite(pd.read_csv(tmp_path / "rows.csv")["log_density"]).all()


def test_parquet_columns_of_no_kind_are_carried_along(tmp_path):
    x = np.random.default_rng(0).normal(size=40)
    frame = pd.DataFrame(
        {
            "list": [[1, 2], None, [3], [4, 5]] * 10,
            "struct": [{"a": 1}, {"a": 2}] * 20,
            "bytes": [b"x", b"y"] * 20,
            "x": np.where(np.arange(40) % 7, x, np.nan),
            "y": x,
        }
    )
    frame.to_parquet(tmp_path / "in.parquet")
    model = tmp_path / "m.joblib"
    fit = ("-o", tmp_path / "out.parquet", "--engine", "gaussian", "--save-model", model)
    result = call("impute", tmp_path / "in.parquet", *fit)
    assert "`struct` (struct<a: int64>), `bytes` (binary)" in result.stderr
    again = ("-o", tmp_path / "again.parquet", "--load-model", model)
    call("impute", tmp_path / "in.parquet", *again)
    for name in ("out", "again"):
        after = pd.read_parquet(tmp_path / f"{name}.parquet")
        before = pd.read_parquet(tmp_path / "in.parquet")
        assert after["x"].notna().all()
        carried = ["list", "struct", "bytes"]
        pd.testing.assert_frame_equal(after[carried], before[carried])


def test_a_table_of_nothing_to_model_is_refused(tmp_path):
    pd.DataFrame({"list": [[1], [2]] * 3}).to_parquet(tmp_path / "in.parquet")
    line = refuse("impute", tmp_path / "in.parquet", "-o", tmp_path / "out.parquet", code=1)
    assert "has no column to model" in line


@pytest.fixture
def coded(tmp_path):
    """Write a table of codes, whole numbers in both spellings and numbers, with holes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=60).round(3)
    frame = pd.DataFrame(
        {
            "zip": np.where(x > 0, "00501", "7"),
            "area": np.where(x > 0, 17, 4),
            "count": np.round(3 * x).astype(int),
            "spelled": np.round(2 * x) + 0.0,
            "x": x,
        }
    ).astype(object)
    frame = frame.mask(rng.random(frame.shape) < 0.15)
    frame.to_csv(tmp_path / "coded.csv", index=False)
    return tmp_path / "coded.csv"


QUICK = ("--engine", "gaussian")


def test_digits_with_zeros_before_them_are_text(coded, tmp_path):
    model = tmp_path / "m.joblib"
    result = call("impute", coded, "-o", tmp_path / "a.csv", *QUICK, "--save-model", model)
    assert "`zip` is text" in result.stderr
    assert set(pd.read_csv(tmp_path / "a.csv", dtype=str)["zip"]) == {"00501", "7"}
    call("sample", "-n", 30, "-o", tmp_path / "s.csv", "--load-model", model)
    assert set(pd.read_csv(tmp_path / "s.csv", dtype=str)["zip"]) == {"00501", "7"}
    few = pd.read_csv(coded, dtype=str).query("zip != '00501'")  # looks like numbers now
    few.to_csv(tmp_path / "few.csv", index=False)
    result = call("impute", tmp_path / "few.csv", "-o", tmp_path / "b.csv", "--load-model", model)
    assert "--type" not in result.stderr
    assert set(pd.read_csv(tmp_path / "b.csv", dtype=str)["zip"]) <= {"00501", "7"}


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["007", "12", ""], "text"),
        (["000", "00"], "text"),
        (["0", "10"], "integer"),
        (["007.5", "1"], "float"),
        (["-05", "05"], "integer"),
        (["0e1", "01"], "float"),
    ],
)
def test_only_plain_digits_can_be_codes(cells, kind, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{cell},1\n" for cell in cells))
    assert read_table(tmp_path / "t.csv").columns[0].kind == kind


def test_types_are_stated_by_the_user(coded, tmp_path):
    stated = ("--type", "zip=numeric", "--type", "area=nominal")
    result = call("impute", coded, "-o", tmp_path / "a.csv", *QUICK, *stated)
    assert "is text" not in result.stderr
    before, after = (pd.read_csv(path, dtype=str) for path in (coded, tmp_path / "a.csv"))
    assert set(after["area"]) == {"17", "4"}
    assert not set(after["zip"][before["zip"].isna()]) <= {"00501", "7"}
    line = ("--density", "gaussian", "--type", "area=nominal")
    result = call("impute", coded, "-o", tmp_path / "b.csv", *line)
    assert "`zip` (text), `area` (nominal)" in result.stderr


def test_nominal_columns_of_parquet_are_filled_with_their_levels(coded, tmp_path):
    pd.read_csv(coded).astype({"area": "Int16"}).to_parquet(tmp_path / "in.parquet")
    model = tmp_path / "m.joblib"
    fit = (*QUICK, "--type", "area=nominal", "--save-model", model)
    call("impute", tmp_path / "in.parquet", "-o", tmp_path / "a.parquet", *fit)
    again = ("-o", tmp_path / "b.parquet", "--load-model", model)
    call("impute", tmp_path / "in.parquet", *again)
    for name in ("a", "b"):
        after = pd.read_parquet(tmp_path / f"{name}.parquet")["area"]
        assert str(after.dtype) == "Int16"
        assert set(after) == {17, 4}


def test_a_column_called_nominal_is_never_carried_along(tmp_path):
    names = [f"u{i}" if i else "" for i in range(120)]
    lines = "".join(f"{name},{i}.5\n" for i, name in enumerate(names))
    (tmp_path / "t.csv").write_text("id,x\n" + lines)
    call("impute", tmp_path / "t.csv", "-o", tmp_path / "a.csv", *QUICK)
    assert pd.read_csv(tmp_path / "a.csv")["id"].isna().sum() == 1
    call("impute", tmp_path / "t.csv", "-o", tmp_path / "b.csv", *QUICK, "--type", "id=nominal")
    assert pd.read_csv(tmp_path / "b.csv")["id"].isin(names).all()


def test_sample_spells_whole_numbers_as_the_table_does(coded, tmp_path):
    model = tmp_path / "m.joblib"
    call("sample", coded, "-n", 9, "-o", tmp_path / "a.csv", *QUICK, "--save-model", model)
    call("sample", "-n", 9, "-o", tmp_path / "b.csv", "--load-model", model)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    drawn = pd.read_csv(tmp_path / "a.csv", dtype=str)
    assert drawn["count"].str.fullmatch(r"-?\d+").all()
    assert drawn["spelled"].str.fullmatch(r"-?\d+\.0").all()
    plot = ("--density", "gaussian", "--plot", tmp_path / "p.png")
    call("sample", coded, "-n", 9, "-o", tmp_path / "c.csv", *plot)
    assert pd.read_csv(tmp_path / "c.csv", dtype=str)["area"].str.fullmatch(r"-?\d+").all()
    pd.read_csv(coded).astype({"count": "Int16"}).to_parquet(tmp_path / "in.parquet")
    call("sample", tmp_path / "in.parquet", "-n", 9, "-o", tmp_path / "s.parquet", *QUICK)
    assert pd.read_parquet(tmp_path / "s.parquet")["count"].dtype == "Int16"


@pytest.mark.parametrize("left", [np.nan, np.inf])
def test_cells_without_a_finite_value_are_never_written(left, small, tmp_path, monkeypatch):
    from sm_estimators import ScoreMatchingImputer

    def broken(model, X):
        return X.where(X.notna(), left)

    monkeypatch.setattr(ScoreMatchingImputer, "transform", broken)
    line = refuse("impute", small, "-o", tmp_path / "a.csv", *QUICK, code=1)
    assert "no finite value for" in line
    assert "`a`, `b`, `c`, the first of `a` in row" in line
    assert not (tmp_path / "a.csv").exists()


def test_engines_and_densities_exclude_each_other(small, tmp_path):
    line = refuse(
        "impute", small, "-o", tmp_path / "a.csv", "--engine", "auto", "--ridge", 0.1, code=2
    )
    assert "`--ridge` belongs to a density" in line


# sample, score, describe -----------------------------------------------------------------------


def test_sample_draws_from_the_fitted_density(small, tmp_path):
    plot = ("--plot", tmp_path / "s.png", "--density", "gaussian")
    call("sample", small, "-n", 4000, "-o", tmp_path / "s.csv", *plot)
    drawn, X = pd.read_csv(tmp_path / "s.csv"), pd.read_csv(small)
    assert drawn.shape == (4000, 3)
    # 80 rows with 20 % holes: the fitted mean is within 5 standard errors of the column means
    errors = (drawn.mean() - X.mean()).abs() / (X.std() / np.sqrt(X.count()))
    assert (errors < 5).all()


def test_sample_from_a_kept_model_needs_no_table(small, tmp_path):
    model = tmp_path / "m.joblib"
    call("sample", small, "-n", 5, "-o", tmp_path / "a.csv", "--save-model", model, "--seed", 3)
    call("sample", "-n", 5, "-o", tmp_path / "b.parquet", "--load-model", model, "--seed", 3)
    np.testing.assert_array_equal(
        pd.read_csv(tmp_path / "a.csv"), pd.read_parquet(tmp_path / "b.parquet")
    )


def test_score_holds_rows_out_and_writes_every_row(small, tmp_path):
    from sm_estimators import GaussianScoreMatching

    held_out = ("--held-out", 0.25, "--density", "gaussian")
    result = call("score", small, "-o", tmp_path / "rows.csv", *held_out)
    rows, X = pd.read_csv(tmp_path / "rows.csv"), pd.read_csv(small)
    assert "20 rows held out from a fit to 60" in result.stdout
    assert rows["held_out"].sum() == 20
    est = GaussianScoreMatching(random_state=0).fit(X[~rows["held_out"]])
    assert float(result.stdout.split()[0]) == pytest.approx(
        est.score(X[rows["held_out"]]), rel=1e-5
    )
    np.testing.assert_allclose(rows["log_density"], est.score_samples(X), rtol=1e-9)


def test_score_under_a_kept_model_uses_every_row(small, tmp_path):
    model = tmp_path / "m.joblib"
    call("impute", small, "-o", tmp_path / "a.csv", "--save-model", model)
    result = call("score", small, "--load-model", model, "-o", tmp_path / "rows.tsv")
    assert "80 rows under the loaded model" in result.stdout
    assert list(pd.read_csv(tmp_path / "rows.tsv", sep="\t")) == ["row", "log_density"]


def test_describe_reports_kinds_holes_and_the_test(table):
    text = call("describe", table).stdout
    assert "80 rows" in text
    assert "town" in text
    assert "Little's test" in text
    assert "degrees of freedom" in text


def test_describe_names_pairs_never_seen_together(tmp_path):
    path = tmp_path / "apart.csv"
    path.write_text("id,a,b\n" + "".join(f"{i},{i},\n{i + 1},,{i}\n" for i in range(0, 20, 2)))
    text = call("describe", path).stdout
    assert "1 pair never seen together: a & b" in text
    assert "not possible" in text
    assert "  id  integer" in text


def test_describe_says_which_value_made_text_of_numbers(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3,4 kg\n5,\n")
    assert "not '4 kg' in row 2" in call("describe", path).stdout


# Refusals --------------------------------------------------------------------------------------

TABLES = {
    "empty.csv": "",
    "header.csv": "a,b\n",
    "ragged.csv": "a,b\n1,2\n3\n",
    "semicolons.csv": "a;b\n1;2\n",
    "twice.csv": "a,b,a\n1,2,3\n",
    "text.csv": "town,size\nOslo,big\nRio,9\n",
    "infinite.csv": "a,b\n1,2\ninf,3\n",
    "hollow.csv": "a,b\n1,\n2,NA\n3,?\n",
    "good.csv": "a,b\n1,2\n,3\n4,5\n2,2\n",
    "bytes.csv": b"a,b\n1,\xff\n",
    "bad.csv.gz": b"a,b\n1,2\n",
    "bad.parquet": b"a,b\n1,2\n",
    "bad.joblib": b"hello",
    "taken.csv": "mine",
    "notes.txt": "a,b\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in TABLES.items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("describe nowhere.csv", 2, "There is no file nowhere.csv"),
        ("describe notes.txt", 2, "`TABLE` must end in one of .csv"),
        ("describe empty.csv", 1, "empty.csv is empty"),
        ("describe header.csv", 1, "no rows"),
        ("describe ragged.csv", 1, "row 2 has 1 cells, but the header names 2 columns"),
        ("describe semicolons.csv", 1, "seems to be separated by ';'"),
        ("describe twice.csv", 1, "more than one column named `a`"),
        ("describe infinite.csv", 1, "Column `a` is infinite in row 2"),
        ("describe bytes.csv", 1, "is not UTF-8 text (byte 6)"),
        ("describe bad.csv.gz", 1, "no complete gzip file"),
        ("describe bad.parquet", 1, "is no Parquet file"),
        ("describe good.csv --plot p.gif", 2, "`--plot` must end in one of .png"),
        ("impute text.csv -o o.csv --density gaussian", 1, "no numeric column to model"),
        ("impute text.csv -o o.csv --density gaussian", 1, "not 'big' in row 1"),
        ("impute hollow.csv -o o.csv", 1, "Nothing was seen of `b`"),
        ("impute good.csv -o o.csv --skip c", 2, "`--skip` names `c`"),
        ("impute good.csv -o o.txt", 2, "`--output` must end in one of"),
        ("impute good.csv -o o.parquet", 2, "another format"),
        ("impute good.csv -o taken.csv", 2, "`--output` would overwrite taken.csv"),
        ("impute good.csv -o good.csv --force", 2, "`--output` is the table itself"),
        ("impute good.csv -o no/o.csv", 2, "there is no folder no"),
        ("impute good.csv -o o.csv -m 2 --strategy mean", 2, "fills 2 tables alike"),
        ("impute good.csv -o o.csv --plot taken.csv", 2, "would overwrite"),
        ("impute good.csv -o o.csv --load-model no.joblib", 2, "There is no file no.joblib"),
        ("impute good.csv -o o.csv --load-model bad.joblib", 1, "bad.joblib is no model file"),
        (
            "impute good.csv -o o.csv --load-model m --max-iter 9",
            2,
            "`--max-iter` would change a fit",
        ),
        ("impute good.csv -o o.csv --load-model m --save-model n", 2, "drop one"),
        (
            "impute good.csv -o o.csv --mechanism mar --missing exact",
            1,
            "`missing='exact'` is biased",
        ),
        ("impute good.csv -o o.csv --type a", 2, "`--type` is a; expected COLUMN=KIND"),
        ("impute good.csv -o o.csv --type a=date", 2, "is one of numeric, nominal"),
        ("impute good.csv -o o.csv --type c=nominal", 2, "`--type` names `c`"),
        ("score text.csv --type size=numeric", 1, "`size` numeric, but it holds 'big' in row 1"),
        ("report text.csv -o o.html --type town=numeric", 1, "but it holds text"),
        ("impute good.csv -o o.csv --load-model bad.joblib --type a=nominal", 2, "change a fit"),
        ("sample -n 3 -o o.csv", 2, "Name a TABLE"),
        ("score good.csv --held-out 0.9", 1, "leaves 0 to fit"),
    ],
)
def test_refusals_are_one_line(line, code, sentence, folder):
    assert sentence in refuse(*line.split(), code=code)
    assert sorted(path.name for path in folder.iterdir()) == sorted(TABLES)
    assert (folder / "taken.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("module", "line", "extra"),
    [
        ("matplotlib", "describe good.csv --plot p.png", "plots"),
        ("pyarrow", "sample good.csv -n 3 -o o.parquet", "parquet"),
    ],
)
def test_a_missing_package_is_named_before_the_work(module, line, extra, folder, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == module else found(name)
    )
    assert f"sm_estimators[{extra}]" in refuse(*line.split(), code=1)


def test_files_are_refused_before_the_table_is_read(folder):
    assert "would overwrite" in refuse("impute", "ragged.csv", "-o", "taken.csv", code=2)


@pytest.mark.parametrize(
    "line",
    [
        "impute good.csv -o o.csv --save-model o.csv",
        "impute good.csv -o o.csv --save-model ../{folder}/./o.csv",
        "impute good.csv -o o.csv --save-model link.csv",
        "impute good.csv -o o.csv --save-model there/o.csv",
        "impute good.csv -o taken.csv --save-model hard.csv --force",
        "impute good.csv -o o.csv -m 2 --save-model o-2.csv",
        "impute good.csv -o o.csv --plot p.png --save-model p.png",
        "sample good.csv -n 3 -o o.csv --save-model o.csv",
        "sample good.csv -n 3 -o o.csv --plot p.png --save-model p.png",
    ],
)
def test_outputs_are_different_files(line, folder):
    (folder / "link.csv").symlink_to(folder / "o.csv")
    (folder / "there").symlink_to(folder, target_is_directory=True)
    (folder / "hard.csv").hardlink_to(folder / "taken.csv")
    sentence = refuse(*line.format(folder=folder.name).split(), code=2)
    assert "are one file" in sentence
    assert "`--save-model`" in sentence
    assert not (folder / "o.csv").exists()


def test_one_numbered_file_that_exists_refuses_all(folder):
    (folder / "o-2.csv").write_text("mine")
    assert "o-2.csv" in refuse("impute", "good.csv", "-o", "o.csv", "-m", 3, code=2)
    assert not (folder / "o-1.csv").exists()


def test_force_replaces(folder):
    call("impute", "good.csv", "-o", "taken.csv", "--force")
    assert (folder / "taken.csv").read_text().startswith("a,b\n1,2\n")


def test_a_failure_while_writing_leaves_nothing(folder, monkeypatch):
    def broken(frame, path):
        path.write_text("half")
        raise OSError("the disk is full")

    monkeypatch.setattr("sm_estimators.cli.tables.write_frame", broken)
    line = refuse("sample", "good.csv", "-n", 2, "-o", "taken.csv", "--force", code=1)
    assert "the disk is full" in line
    assert sorted(path.name for path in folder.iterdir()) == sorted(TABLES)
    assert (folder / "taken.csv").read_text() == "mine"


@pytest.mark.parametrize("name", ["good.csv", "town.csv", "number.csv", "bad.parquet"])
def test_what_is_no_model_file_is_refused_in_own_words(name, folder):
    (folder / "town.csv").write_text("city,a\nOslo,1\n")
    (folder / "number.csv").write_text("Income,a\n1,1\n")
    line = refuse("impute", "good.csv", "-o", "o.csv", "--load-model", name, code=1)
    assert line == (
        f"error: {name} is no model file, or one of other versions of the packages; make one with "
        "--save-model."
    )


def test_a_pickle_that_is_no_model_is_refused(folder):
    import joblib

    joblib.dump({"a": 1}, folder / "other.joblib")
    line = refuse("impute", "good.csv", "-o", "o.csv", "--load-model", "other.joblib", code=1)
    assert "holds no model of this program" in line


def test_the_options_offer_every_rule_and_name():
    from sm_estimators.cli import options
    from sm_estimators.diffusion.hole_rules import HOLE_RULES
    from sm_estimators.estimators._shorthand import SHORTHAND
    from sm_estimators.missing.mechanism import RULES, Mechanism

    def offered(option):
        return set(get_args(get_args(get_args(option)[0])[0]))

    assert offered(options.MissingOption) == set(RULES) | set(HOLE_RULES)
    assert offered(options.MechanismOption) == set(get_args(Mechanism))
    assert offered(options.DensityOption) == {*SHORTHAND["density"], "diffusion"}
    assert offered(options.ObjectiveOption) == set(SHORTHAND["objective"])


def test_usage_errors_exit_with_two():
    call("impute", code=2)
    call("impute", "x.csv", "-o", "y.csv", "--density", "cauchy", code=2)


def test_help_needs_nothing_heavy():
    code = (
        "import sys; from sm_estimators.cli import app; sys.argv = ['x', 'impute', '--help']\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('jax', 'pandas', 'sklearn', 'matplotlib', 'scipy', 'numpy') "
        "if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
    assert "--n-imputations" in run.stdout
