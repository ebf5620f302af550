"""Concrete mixtures: one half with holes made at random given the seen, one half complete."""

import pandas as pd

from sm_estimators.datasets._files import packaged_path


def load_concrete_mar() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Load the concrete mixtures: a half with 1619 holes to train on, a complete half to judge by.

    Both tables have 514 rows and 8 columns, all floats. The holes of the first half were made
    "missing at random" with a pattern that is not monotone; the true values are not included.
    What an estimator learns from the first half (a density, an imputed table) can be compared, as
    a distribution, with the second half. The patterns hardly differ in their means, so Little's
    test does not reject "completely at random" (p = 0.20): not to reject is no proof.

    ======  ==========================  =======  =====
    column  meaning                     unit     holes
    ======  ==========================  =======  =====
    X1      cement                      kg/m³    195
    X2      blast-furnace slag          kg/m³    144
    X3      fly ash                     kg/m³    281
    X4      water                       kg/m³    186
    X5      superplasticiser            kg/m³    325
    X6      coarse aggregate            kg/m³    244
    X7      fine aggregate              kg/m³    244
    X8      compressive strength        MPa      0
    ======  ==========================  =======  =====

    The source names the columns X1 to X8 only; meanings and units are those of the original
    table, of which the age of the specimen was left out.

    Returns
    -------
    train, test : DataFrame of shape (514, 8)
        The half with holes (NaN) and the complete half; fresh copies on every call.

    Notes
    -----
    Source: Yeh (1998), UCI Machine Learning Repository (CC BY 4.0), split and amputed in the
    repository FLOWGEM (MIT licence); see ``LICENSE-concrete.txt`` beside the tables.

    Examples
    --------
    >>> train, test = load_concrete_mar()
    >>> train.shape, int(train.isna().sum().sum()), int(test.isna().sum().sum())
    ((514, 8), 1619, 0)
    """
    return (
        pd.read_csv(packaged_path("concrete_mar_train.csv")),
        pd.read_csv(packaged_path("concrete_mar_test.csv")),
    )
