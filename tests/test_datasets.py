from importlib import resources

import numpy as np
import pandas as pd
import pytest

from sm_estimators.datasets import load_concrete_mar, load_oceanbuoys, oceanbuoys_path


def test_oceanbuoys_has_the_documented_shape_and_holes():
    X = load_oceanbuoys()
    assert X.shape == (736, 8)
    assert set(map(str, X.dtypes)) == {"float64"}
    holes = X.isna().sum()
    assert holes[holes > 0].to_dict() == {"sea_temp_c": 3, "air_temp_c": 81, "humidity": 93}
    missing_by_year = X.drop(columns="year").isna().groupby(X["year"]).sum()
    assert missing_by_year["humidity"].to_dict() == {1993.0: 93, 1997.0: 0}
    assert missing_by_year["air_temp_c"].to_dict() == {1993.0: 4, 1997.0: 77}
    assert len(X[["latitude", "longitude"]].drop_duplicates()) == 5


def test_oceanbuoys_as_array_and_as_file():
    X = load_oceanbuoys()
    np.testing.assert_array_equal(load_oceanbuoys(as_frame=False), X.to_numpy())
    pd.testing.assert_frame_equal(pd.read_csv(oceanbuoys_path()), X)


def test_tables_are_fresh_copies():
    for frame in (load_oceanbuoys(), load_concrete_mar()[0]):
        frame.iloc[:, :] = 0.0
    assert load_oceanbuoys().to_numpy().any()
    assert np.nansum(load_concrete_mar()[0].to_numpy()) > 0


def test_concrete_halves_have_the_documented_holes_and_one_distribution():
    train, test = load_concrete_mar()
    assert train.shape == test.shape == (514, 8)
    assert list(train.columns) == list(test.columns) == [f"X{j}" for j in range(1, 9)]
    assert train.isna().sum().tolist() == [195, 144, 281, 186, 325, 244, 244, 0]
    assert not test.isna().to_numpy().any()
    # The strength was never removed: its two means differ by chance only.
    error = np.sqrt(train["X8"].var() / 514 + test["X8"].var() / 514)
    assert abs(train["X8"].mean() - test["X8"].mean()) < 4 * error


@pytest.mark.parametrize(("name", "owner"), [("oceanbuoys", "Tierney"), ("concrete", "Kremling")])
def test_licences_are_packaged(name, owner):
    file = resources.files("sm_estimators.datasets").joinpath(f"LICENSE-{name}.txt")
    text = file.read_text(encoding="utf-8")
    assert "MIT License" in text
    assert owner in text
    assert "WITHOUT WARRANTY OF ANY KIND" in text
