"""The door: tables with holes in every shape and dtype, weights, seeds, warnings, round trips."""

import pickle
import warnings
from functools import cache

import jax
import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sm_estimators import (
    CompleteCase,
    Denoising,
    EnergyScoreMatching,
    Exact,
    Explicit,
    ExponentialFamilyScoreMatching,
    GaussianMixture,
    GaussianProposal,
    GaussianScoreMatching,
    Importance,
    Imputation,
    ScoreMatchingEstimator,
    ScoreMatchingImputer,
    Sliced,
)

pytestmark = pytest.mark.filterwarnings(
    # Energies are trained for 60 steps here, mixtures for 30, and say that this is short.
    "ignore:The fit stopped before it converged"
)

KINDS = {
    "gaussian": GaussianScoreMatching(random_state=0),
    "exponential": ExponentialFamilyScoreMatching(random_state=0),
    "energy": EnergyScoreMatching((8,), max_iter=60, random_state=0),
    "mixture": ScoreMatchingEstimator("mixture", max_iter=30, random_state=0),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def table(n=60, seed=0):
    """Return a table with a fifth of its cells empty, and no empty row."""
    rng = np.random.default_rng(seed)
    X = rng.multivariate_normal([1, -2, 0], [[1, 0.6, 0], [0.6, 2, 0.3], [0, 0.3, 0.5]], n)
    holes = rng.random(X.shape) < 0.2
    holes[holes.all(axis=1)] = False
    return np.where(holes, np.nan, X)


def whole(n=60, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3)) @ np.tri(3) + 1


@cache
def fitted(kind):
    return clone(KINDS[kind]).fit(table())


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def assert_same(first, second, **tolerance):
    for a, b in zip(leaves(first), leaves(second), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


# --- rows ------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("method", ["score_samples", "stein_score"])
def test_rows_do_not_know_their_neighbours(kind, method):
    X, call = table(), getattr(fitted(kind), method)
    order = np.random.default_rng(1).permutation(len(X))
    together = call(X)
    # Evaluation runs in float64; what is left is the rounding of batched products.
    close = {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(call(X[order]), together[order], **close)
    np.testing.assert_allclose(call(X[7:30]), together[7:30], **close)
    np.testing.assert_allclose(call(X[3:4]), together[3:4], **close)


@every_kind
def test_row_order_does_not_reach_the_fit(kind):
    X = table()
    order = np.random.default_rng(1).permutation(len(X))
    again = clone(KINDS[kind]).fit(X[order])
    # All fits start from sums of EM, which change in their last bits with the order of the rows;
    # training in float32 and L-BFGS stopped half-way amplify them.
    assert_same(again.params_, fitted(kind).params_, rtol=1e-4, atol=1e-5)


@every_kind
def test_integer_weights_are_repeats(kind):
    X = table()
    weight = np.random.default_rng(2).integers(0, 3, len(X))
    weighted = clone(KINDS[kind]).fit(X, sample_weight=weight)
    repeated = clone(KINDS[kind]).fit(np.repeat(X, weight, axis=0))
    assert_same(weighted.params_, repeated.params_, rtol=1e-6, atol=1e-8)
    assert not np.allclose(leaves(weighted.params_)[0], leaves(fitted(kind).params_)[0])
    score = weighted.score(X, sample_weight=weight)
    assert score == pytest.approx(weighted.score(np.repeat(X, weight, axis=0)), rel=1e-9)


@every_kind
def test_an_empty_row_carries_nothing(kind):
    X = np.vstack([table(), np.full((1, 3), np.nan)])
    with pytest.warns(UserWarning, match="1 of 61 rows of `X` have no seen value"):
        estimator = clone(KINDS[kind]).fit(X)
    assert_same(estimator.params_, fitted(kind).params_, rtol=1e-9)
    assert estimator.score(X) == pytest.approx(estimator.score(X[:-1]), rel=1e-9)
    assert np.isnan(estimator.stein_score(X)[-1]).all()
    assert np.isfinite(estimator.score_samples(X)).all()


# --- values ----------------------------------------------------------------------------------


def gaussian_parts(estimator, x):
    """Return mean, covariance and values of the seen part of a row."""
    seen = ~np.isnan(x)
    return estimator.location_[seen], estimator.covariance_[np.ix_(seen, seen)], x[seen]


@pytest.mark.parametrize("missing", ["imputation", "exact", "importance", "complete_case"])
def test_a_gaussian_evaluates_its_marginals(missing):
    X = table()
    estimator = GaussianScoreMatching(missing=missing, random_state=0).fit(X)
    parts = [gaussian_parts(estimator, x) for x in X]
    densities = [multivariate_normal(m, S).logpdf(x) for m, S, x in parts]
    np.testing.assert_allclose(estimator.score_samples(X), densities, rtol=1e-8)
    gradients = [-np.linalg.solve(S, x - m) for m, S, x in parts]
    stein = estimator.stein_score(X)
    np.testing.assert_allclose(stein[~np.isnan(X)], np.concatenate(gradients), rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(np.isnan(stein), np.isnan(X))
    losses = [
        g @ g / 2 - np.trace(np.linalg.inv(S))
        for g, (_, S, _) in zip(gradients, parts, strict=True)
    ]
    assert estimator.score(X) == pytest.approx(-np.mean(losses), rel=1e-8)


def test_the_pairwise_family_is_the_gaussian():
    X = whole()
    gaussian = GaussianScoreMatching(ridge=0).fit(X)
    family = ExponentialFamilyScoreMatching(ridge=0).fit(X)
    K = gaussian.precision_
    expected = np.concatenate([K @ gaussian.location_, np.diag(K), K[np.triu_indices(3, 1)]])
    np.testing.assert_allclose(family.natural_parameters_, expected, rtol=1e-8)
    constant = family.score_samples(X) - gaussian.score_samples(X)
    assert np.ptp(constant) < 1e-8
    np.testing.assert_allclose(family.stein_score(X), gaussian.stein_score(X), rtol=1e-7, atol=1e-9)


def test_maximum_likelihood_on_complete_rows():
    X = whole()
    estimator = GaussianScoreMatching(ridge=0).fit(X)
    np.testing.assert_allclose(estimator.location_, X.mean(axis=0))
    np.testing.assert_allclose(estimator.covariance_, np.cov(X.T, bias=True))
    np.testing.assert_allclose(estimator.precision_ @ estimator.covariance_, np.eye(3), atol=1e-10)
    noisy = GaussianScoreMatching(objective=Denoising(noise_scale=0.5), ridge=0).fit(X)
    np.testing.assert_allclose(noisy.covariance_, np.cov(X.T, bias=True) + 0.25 * np.eye(3))


# --- dtypes ----------------------------------------------------------------------------------


def whole_numbers():
    """Return a table of small whole numbers and flags, with holes."""
    X = np.round(table() * 2)
    X[:, 2] = np.where(np.isnan(X[:, 2]), np.nan, X[:, 2] > 0)
    return X


FORMS = {
    "float32": lambda X: X.astype(np.float32),
    "Fortran order": np.asfortranarray,
    "list of lists": lambda X: X.tolist(),
    "objects with NaN": lambda X: X.astype(object),
    "read-only": lambda X: np.frombuffer(X.tobytes()).reshape(X.shape),
    "DataFrame": pd.DataFrame,
    "named by numbers": lambda X: pd.DataFrame(X, columns=[10, 20, 30]),
    "float32 columns": lambda X: pd.DataFrame(X, columns=list("abc")).astype("float32"),
    "Int64": lambda X: pd.DataFrame(X, columns=list("abc")).astype("Int64"),
    "Float64": lambda X: pd.DataFrame(X, columns=list("abc")).astype("Float64"),
    "boolean": lambda X: pd.DataFrame(X).astype({0: "Int8", 1: "Float32", 2: "boolean"}),
    "converted objects": lambda X: pd.DataFrame(
        np.where(np.isnan(X), pd.NA, X.astype(object))
    ).convert_dtypes(),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", FORMS)
def test_a_table_is_the_same_in_every_form(form):
    X = whole_numbers()
    reference = GaussianScoreMatching().fit(X)
    given = FORMS[form](X)
    estimator = GaussianScoreMatching().fit(given)
    np.testing.assert_array_equal(estimator.covariance_, reference.covariance_)
    np.testing.assert_array_equal(estimator.score_samples(given), reference.score_samples(X))
    named = isinstance(given, pd.DataFrame) and isinstance(given.columns[0], str)
    assert hasattr(estimator, "feature_names_in_") == named


def test_whole_numbers_without_holes():
    X = np.random.default_rng(0).integers(0, 9, (60, 3))
    by_integers, by_floats = (GaussianScoreMatching().fit(T) for T in (X, X.astype(float)))
    np.testing.assert_array_equal(by_integers.covariance_, by_floats.covariance_)


# --- seeds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["exponential", "energy", "mixture"])
def test_seeds_of_a_fit(kind):
    again = clone(KINDS[kind]).fit(table())
    assert_same(again.params_, fitted(kind).params_, rtol=0)
    by_state = clone(KINDS[kind]).set_params(random_state=np.random.RandomState(0)).fit(table())
    assert_same(by_state.params_, fitted(kind).params_, rtol=0)


@pytest.mark.parametrize("kind", ["exponential", "energy"])
def test_no_seed_draws_afresh(kind):
    first, second = (
        clone(KINDS[kind]).set_params(random_state=None).fit(table()).params_ for _ in range(2)
    )
    assert any((a != b).any() for a, b in zip(leaves(first), leaves(second), strict=True))


def test_seeds_of_draws():
    estimator, X = fitted("gaussian"), table()
    for draw in (
        lambda s: estimator.sample(5, random_state=s),
        lambda s: estimator.impute(X, 2, random_state=s),
    ):
        np.testing.assert_array_equal(draw(3), draw(3))
        assert (draw(3) != draw(4)).any()
        assert (draw(None) != draw(None)).any()
        state = np.random.RandomState(3)
        np.testing.assert_array_equal(draw(state), draw(3))
        assert (draw(state) != draw(3)).any()
    first, second = estimator.impute(X, 2, random_state=0)
    assert (first != second).any()


# --- errors and warnings ---------------------------------------------------------------------

G, E, F, S, ImputerOf = (
    GaussianScoreMatching,
    EnergyScoreMatching,
    ExponentialFamilyScoreMatching,
    ScoreMatchingEstimator,
    ScoreMatchingImputer,
)


def with_cell(value):
    X = table()
    X[4, 1] = value
    return X


def never_together():
    X = whole()
    X[:30, 0], X[30:, 1] = np.nan, np.nan
    return X


def frame(columns="abc"):
    return pd.DataFrame(table(), columns=list(columns))


def objects(hole):
    X = table()
    return np.where(np.isnan(X), hole, X.astype(object))


def nothing(x):
    return x[:1] * 0.0


def twice(x):
    return jax.numpy.concatenate([x, x])


SENTENCES = {
    "empty column": (
        lambda: G().fit(np.c_[table(), np.full(60, np.nan)]),
        ValueError,
        r"Nothing was seen in columns \[3\] of `X`.*Drop them",
    ),
    "empty named column": (
        lambda: ImputerOf().fit(frame().assign(b=np.nan)),
        ValueError,
        r"Nothing was seen in columns \['b'\]",
    ),
    "infinity": (lambda: G().fit(with_cell(np.inf)), ValueError, "contains infinity"),
    "infinity later": (
        lambda: fitted("gaussian").impute(with_cell(-np.inf)),
        ValueError,
        "contains infinity",
    ),
    "text": (lambda: G().fit([["a", "b"], ["c", "d"]]), ValueError, "could not convert string"),
    "text column": (
        lambda: G().fit(frame().assign(b="x")),
        ValueError,
        r"columns that are not numbers: \['b'\].*ColumnTransformer.*convert_dtypes",
    ),
    "objects with pd.NA": (
        lambda: G().fit(objects(pd.NA)),
        ValueError,
        r"array of objects with holes of type \['NAType'\].*convert_dtypes",
    ),
    "object column with pd.NA": (
        lambda: G().fit(pd.DataFrame(objects(pd.NA))),
        ValueError,
        r"not numbers: \[0, 1, 2\].*convert_dtypes",
    ),
    "one row": (lambda: G().fit(whole(1)), ValueError, "n_samples = 1 .* at least 2"),
    "one row with anything in it": (
        lambda: G().fit(np.vstack([whole(1), np.full((4, 3), np.nan)])),
        ValueError,
        "n_samples = 1 .* at least 2",
    ),
    "one row with a weight": (
        lambda: G().fit(whole(4), sample_weight=[0, 0, 3, 0]),
        ValueError,
        "n_samples = 1 .* at least 2",
    ),
    "width": (
        lambda: fitted("gaussian").score(table()[:, :2]),
        ValueError,
        "X has 2 features, but GaussianScoreMatching is expecting 3",
    ),
    "names": (
        lambda: G().fit(frame()).score_samples(frame("abz")),
        ValueError,
        "feature names should match",
    ),
    "order of names": (
        lambda: G().fit(frame()).score_samples(frame()[["b", "a", "c"]]),
        ValueError,
        "must be in the same order",
    ),
    "constant column": (
        lambda: G(ridge=0).fit(np.c_[whole(), np.ones(60)]),
        ValueError,
        r"covariance is singular.*columns \[3\] are constant.*`ridge` above 0",
    ),
    "duplicated column": (
        lambda: G(ridge=0).fit(whole()[:, [0, 1, 2, 0]]),
        ValueError,
        "covariance is singular.*duplicated.*`ridge` above 0",
    ),
    "duplicated statistics": (
        lambda: F(twice, ridge=0).fit(whole()),
        ValueError,
        "no unique minimum.*linearly dependent.*`ridge` above 0",
    ),
    "no complete row": (
        lambda: G(missing="complete_case").fit(never_together()),
        ValueError,
        "`missing='complete_case'` leaves 0 of 60 rows.*Use `missing='imputation'`",
    ),
    "negative weight": (
        lambda: G().fit(table(), sample_weight=np.r_[-1, np.ones(59)]),
        ValueError,
        "Negative values in data passed to `sample_weight`",
    ),
    "weights all zero": (
        lambda: G().fit(table(), sample_weight=np.zeros(60)),
        ValueError,
        "at least one non-zero",
    ),
    "too few weights": (
        lambda: G().fit(table(), sample_weight=np.ones(6)),
        ValueError,
        r"sample_weight.shape == \(6,\), expected \(60,\)",
    ),
    "nothing to score": (
        lambda: fitted("gaussian").score(np.full((2, 3), np.nan)),
        ValueError,
        "no row with a seen value",
    ),
    "objective": (
        lambda: G(objective="hyvarinen").fit(table()),
        ValueError,
        "`objective` must be one of 'auto', 'explicit'.*got 'hyvarinen'",
    ),
    "class for a spec": (
        lambda: G(objective=Explicit).fit(table()),
        ValueError,
        r"instance of AbstractObjective.*Call it: Explicit\(",
    ),
    "missing": (
        lambda: G(missing="drop").fit(table()),
        ValueError,
        "`missing` must be 'auto', 'complete_case'.*got 'drop'",
    ),
    "missing of another type": (
        lambda: G(missing=Exact).fit(table()),
        ValueError,
        r"`missing` must be a name such as 'auto' or a rule.*got <class",
    ),
    "exact family": (
        lambda: F(missing="exact").fit(table()),
        ValueError,
        "closed-form marginals.*got PairwiseGaussian.*'importance'",
    ),
    "biased rule": (
        lambda: G(missing="exact", mechanism="mar").fit(table()),
        ValueError,
        "`missing='exact'` is biased when `mechanism='mar'`.*'imputation'",
    ),
    "mechanism": (
        lambda: G(mechanism="mnar").fit(table()),
        ValueError,
        "`mechanism` must be 'mcar', 'mar', Inv.*; got 'mnar'",
    ),
    "sampler": (
        lambda: G(sampler="gibbs").fit(table()),
        ValueError,
        "`sampler` must be one of 'auto', 'exact', 'mala'.*got 'gibbs'",
    ),
    "exact draws of a family": (
        lambda: F(sampler="exact").fit(table()),
        ValueError,
        "`sampler='exact'` needs a density that draws by itself.*'mala'",
    ),
    "density": (
        lambda: S("normal").fit(table()),
        ValueError,
        "`density` must be one of 'gaussian', 'mixture', 'energy'.*got 'normal'",
    ),
    "components": (lambda: GaussianMixture(0), ValueError, "`n_components` must be at least 1"),
    "ridge": (lambda: G(ridge=-1).fit(table()), ValueError, "'ridge' parameter.*Got -1"),
    "max_iter": (lambda: G(max_iter=0).fit(table()), ValueError, "'max_iter' parameter.*Got 0"),
    "tol": (lambda: G(tol=0).fit(table()), ValueError, "'tol' parameter.*Got 0"),
    "warm_start": (lambda: G(warm_start="yes").fit(table()), ValueError, "'warm_start' parameter"),
    "random_state": (lambda: G(random_state="a").fit(table()), ValueError, "'random_state' param"),
    "learning_rate": (lambda: E(learning_rate=0).fit(table()), ValueError, "'learning_rate'"),
    "validation_fraction": (
        lambda: E(validation_fraction=1.0).fit(table()),
        ValueError,
        "'validation_fraction' parameter",
    ),
    "hidden_sizes": (lambda: E((8, 0)).fit(table()), ValueError, "`hidden_sizes` must be positive"),
    "statistics": (lambda: F("x").fit(table()), ValueError, "'statistics' parameter.*callable"),
    "constant statistics": (
        lambda: F(nothing).fit(whole()),
        ValueError,
        r"Statistics number \[0\] have no gradient",
    ),
    "imputer's estimator": (
        lambda: ImputerOf(StandardScaler()).fit(table()),
        ValueError,
        "'estimator' parameter",
    ),
    "strategy": (lambda: ImputerOf(strategy="median").fit(table()), ValueError, "'strategy' param"),
    "n_samples": (
        lambda: fitted("gaussian").sample(0),
        ValueError,
        "`n_samples` must be a positive whole number; got 0",
    ),
    "half a sample": (lambda: fitted("gaussian").sample(1.5), ValueError, "whole number; got 1.5"),
    "n_imputations": (
        lambda: fitted("gaussian").impute(table(), 0),
        ValueError,
        "`n_imputations` must be a positive whole number; got 0",
    ),
    "not fitted": (lambda: G().sample(), NotFittedError, "not fitted yet"),
    "imputer not fitted": (lambda: ImputerOf().transform(table()), NotFittedError, "not fitted"),
    "holes in a part": (
        lambda: G().partial_fit(table()),
        ValueError,
        "`partial_fit` adds up complete rows.*Use `fit`",
    ),
    "nothing in a part": (
        lambda: G(missing="complete_case").partial_fit(never_together()),
        ValueError,
        "nothing to add",
    ),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_errors_are_sentences(case):
    call, kind, sentence = SENTENCES[case]
    with pytest.raises(kind, match=rf"(?s){sentence}"):
        call()


@every_kind
@pytest.mark.parametrize("columns", [[0, 1, 2, 3], [0, 1, 2, 0]], ids=["constant", "duplicated"])
def test_the_default_ridge_bears_dependent_columns(kind, columns):
    X = np.c_[table(), np.ones(60)][:, columns]
    estimator = clone(KINDS[kind]).fit(X)
    assert np.isfinite(estimator.score_samples(X)).all()
    assert np.isfinite(estimator.score(X))
    assert all(np.isfinite(leaf).all() for leaf in leaves(estimator.params_))


WARNINGS = {
    "never together": (lambda: G().fit(never_together()), UserWarning, "together, 0 and 1"),
    "empty row": (
        lambda: ImputerOf().fit(np.vstack([table(), np.full(3, np.nan)])),
        UserWarning,
        "1 of 61 rows",
    ),
    "short training": (
        lambda: E((8,), max_iter=5).fit(table()),
        ConvergenceWarning,
        "`max_iter` was reached. Raise `max_iter`, or raise `learning_rate`",
    ),
    "short EM": (
        lambda: make_pipeline(ImputerOf(G(max_iter=1))).fit(table()),
        ConvergenceWarning,
        "Raise `max_iter`, or loosen `tol`",
    ),
    "few effective draws": (
        lambda: F(missing=Importance(20, GaussianProposal(inflation=200.0))).fit(table()),
        UserWarning,
        "effective draws per row.*Raise `n_draws`",
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_warnings_point_at_the_users_line(case):
    call, kind, sentence = WARNINGS[case]
    with pytest.warns(kind, match=sentence) as caught:
        call()
    # Nearly without effective draws a fit may also say that it has not converged.
    assert {w.filename for w in caught} == {__file__}


def test_few_draws_that_were_asked_for_are_no_surprise():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        F(missing=Importance(n_draws=3)).fit(table())


# --- parameters ------------------------------------------------------------------------------


def test_names_and_specs_mean_the_same():
    X = table()
    for name, spec in {"mixture": GaussianMixture(2), "gaussian": "gaussian"}.items():
        named, given = (S(d, max_iter=20, random_state=0).fit(X) for d in (name, spec))
        assert named.density_ == given.density_
        assert_same(named.params_, given.params_, rtol=0)
    for name, rule in {"complete_case": CompleteCase(), "imputation": Imputation()}.items():
        named, given = (G(missing=m).fit(X) for m in (name, rule))
        assert named.missing_ == given.missing_ == name
        assert_same(named.params_, given.params_, rtol=0)


@pytest.mark.parametrize(
    ("estimator", "missing"),
    [
        (G(), "imputation"),
        (G(mechanism="mar"), "imputation"),
        (S("mixture", max_iter=5), "exact"),
        (S("mixture", max_iter=5, mechanism="mar"), "imputation"),
        (F(), "importance"),
        (F(mechanism="mar"), "imputation"),
        (E((8,), max_iter=60), "importance"),
    ],
)
def test_auto_chooses_a_valid_rule(estimator, missing):
    assert clone(estimator).set_params(random_state=0).fit(table()).missing_ == missing


def test_objectives_by_the_number_of_columns():
    wide = np.random.default_rng(0).normal(size=(40, 11))
    assert S().fit(wide[:, :10]).objective_ == Explicit()
    assert S().fit(wide).objective_ == Sliced()


def test_diagnostics_of_the_weights():
    found = fitted("exponential").missing_diagnostics_
    sizes = found["effective_sample_size"]
    assert 5 < found["effective_sample_size_median"] == np.median(sizes) <= 20
    assert found["effective_sample_size_5_percent"] <= found["effective_sample_size_median"]
    holes = np.isnan(table()).sum(axis=1)
    assert len(sizes) == (holes > 0).sum()
    assert set(found["effective_sample_size_by_holes"]) == set(holes[holes > 0])
    assert found["never_together"] == []
    assert "effective_sample_size" not in fitted("gaussian").missing_diagnostics_


def test_default_ridges():
    X = whole()
    for density, ridge in {"gaussian": 1e-6, "mixture": 1e-2, "energy": 1e-6}.items():
        chosen, given = (S(density, max_iter=5, random_state=0, ridge=r) for r in (None, ridge))
        assert_same(chosen.fit(X).params_, given.fit(X).params_, rtol=0)


@pytest.mark.parametrize("kind", ["energy", "mixture"])
def test_warm_start_goes_on(kind):
    X = table()
    estimator = clone(KINDS[kind]).set_params(warm_start=True).fit(X)
    first, last = estimator.loss_curve_[0], estimator.loss_curve_.min()
    going_on = estimator.fit(X).loss_curve_[0]
    # Energies train in float32 and are rescaled in between.
    assert going_on == pytest.approx(last, rel=1e-3, abs=1e-3 * abs(first - last))
    assert clone(KINDS[kind]).fit(X).loss_curve_[0] == pytest.approx(first)
    assert estimator.fit(np.c_[X, X[:, 0] ** 2]).n_features_in_ == 4  # other columns: afresh


@pytest.mark.parametrize("kind", ["energy", "mixture"])
def test_progress_is_shown_only_when_asked_for(kind, capsys):
    clone(KINDS[kind]).fit(table())
    assert capsys.readouterr() == ("", "")
    clone(KINDS[kind]).set_params(verbose=1).fit(table())
    out, err = capsys.readouterr()
    assert out == ""
    assert ("training" if kind == "energy" else "L-BFGS") in err


# --- state -----------------------------------------------------------------------------------


def foreign(value, path):
    """Yield the paths of everything that is not NumPy, a plain value or made of those."""
    if isinstance(value, jax.Array):
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from foreign(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from foreign(item, f"{path}[{i}]")
    elif hasattr(value, "__dict__") and not callable(value):
        yield from foreign(vars(value), path)


@every_kind
def test_nothing_of_jax_is_kept(kind):
    estimator = clone(KINDS[kind]).fit(table())
    estimator.score(table())
    assert list(foreign(vars(estimator), kind)) == []
    imputer = ImputerOf(clone(KINDS[kind])).fit(table())
    assert list(foreign(vars(imputer), kind)) == []
    added = G().partial_fit(whole()).partial_fit(whole(seed=1))
    assert list(foreign(vars(added), "partial")) == []


def test_the_search_for_jax_finds_it():
    assert list(foreign({"a": [{"b": jax.numpy.ones(2)}]}, "x")) == ["x.a[0].b"]


@every_kind
def test_round_trips(kind, tmp_path):
    estimator, X = fitted(kind), table()
    joblib.dump(estimator, tmp_path / "estimator")
    for copy in (pickle.loads(pickle.dumps(estimator)), joblib.load(tmp_path / "estimator")):
        np.testing.assert_array_equal(copy.score_samples(X), estimator.score_samples(X))
        assert_same(copy.params_, estimator.params_, rtol=0)
        assert all(a.dtype == np.float64 for a in leaves(copy.params_))
        np.testing.assert_array_equal(
            copy.impute(X, 4, random_state=0), estimator.impute(X, 4, random_state=0)
        )


@every_kind
def test_clones_have_the_parameters_and_not_the_fit(kind):
    copy = clone(fitted(kind))
    assert copy.get_params() == fitted(kind).get_params()
    assert not hasattr(copy, "params_")


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers(backend):
    tables = [whole(seed=s) for s in range(3)]
    here = [F(random_state=0).fit(X).score(X) for X in tables]
    with joblib.parallel_config(backend=backend):
        there = joblib.Parallel(n_jobs=2)(
            joblib.delayed(_fit_and_score)(F(random_state=0), X) for X in tables
        )
    np.testing.assert_allclose(there, here, rtol=1e-9)


def _fit_and_score(estimator, X):
    return estimator.fit(X).score(X)


# --- scikit-learn's tools ----------------------------------------------------------------------


def test_searches_over_specs():
    grid = {
        "density": ["gaussian", GaussianMixture(2)],
        "objective": ["explicit", Denoising(noise_scale=0.3)],
        "missing": [Imputation(), "complete_case"],
    }
    search = GridSearchCV(S(max_iter=5, random_state=0), grid, cv=2, n_jobs=2, error_score="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(table())
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 8
    assert np.isfinite(scores).all()
    assert search.best_score_ == scores.max()


def test_noise_that_is_too_large_loses_a_search():
    grid = {"objective": [Denoising(noise_scale=3.0), "explicit"]}
    search = GridSearchCV(G(), grid, cv=2).fit(table(200))
    assert search.best_params_ == {"objective": "explicit"}


def test_as_the_last_step_of_a_pipeline():
    X = table()
    pipeline = make_pipeline(StandardScaler(), G()).fit(X)
    Z = StandardScaler().fit_transform(X)
    np.testing.assert_allclose(pipeline.score_samples(X), G().fit(Z).score_samples(Z))


def test_in_a_column_transformer():
    X = frame().assign(word="x").dropna(subset=["a", "b"], how="all")
    columns = ColumnTransformer([("fill", ImputerOf(), ["a", "b"])], remainder="drop")
    filled = columns.set_output(transform="pandas").fit_transform(X)
    pd.testing.assert_frame_equal(
        filled.set_axis(["a", "b"], axis=1), ImputerOf().fit_transform(X[["a", "b"]])
    )
    assert list(filled.columns) == ["fill__a", "fill__b"]


# --- parts of a table --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator", [G(), F(), G(objective=Denoising(noise_scale=0.2)), G(missing="complete_case")]
)
def test_parts_add_up(estimator):
    X, weight = whole(150), np.random.default_rng(0).uniform(0.1, 2, 150)
    at_once, added = clone(estimator).fit(X, sample_weight=weight), clone(estimator)
    for part in np.array_split(np.arange(150), [10, 11, 90]):
        added.partial_fit(X[part], sample_weight=weight[part])
    assert_same(added.params_, at_once.params_, rtol=1e-9)
    assert added.missing_ == at_once.missing_
    assert added.score(X) == pytest.approx(at_once.score(X), rel=1e-9)


def test_parts_have_noise_of_their_own():
    X, objective = whole(2000), Denoising(noise_scale=0.5)
    fits = [F(objective=objective, random_state=s).fit(X).params_ for s in range(6)]
    added = F(objective=objective, random_state=7)
    for part in np.array_split(X, 40):
        added.partial_fit(part)
    # The fits differ by their noise alone. Noise repeated in every part would be √40 times larger.
    error = np.abs(added.params_ - np.mean(fits, axis=0)) / np.std(fits, axis=0, ddof=1)
    assert np.median(error) < 3


def test_parts_drop_incomplete_rows_when_told_to():
    X = table(100)
    added = G(missing="complete_case").partial_fit(X[:50]).partial_fit(X[50:])
    at_once = G(missing="complete_case").fit(X)
    np.testing.assert_allclose(added.covariance_, at_once.covariance_, rtol=1e-9)


def test_a_refused_part_changes_nothing():
    added = G().partial_fit(whole())
    before = added.covariance_.copy()
    with pytest.raises(ValueError, match="complete rows"):
        added.partial_fit(table())
    both = added.partial_fit(whole(seed=1)).covariance_
    at_once = G().fit(np.vstack([whole(), whole(seed=1)])).covariance_
    np.testing.assert_allclose(both, at_once, rtol=1e-9)
    assert (both != before).any()


@pytest.mark.parametrize("estimator", [E(), S("mixture"), S("energy"), ImputerOf()])
def test_other_losses_cannot_be_added(estimator):
    assert not hasattr(estimator, "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as caught:
        _ = estimator.partial_fit
    if not isinstance(estimator, ImputerOf):
        assert "quadratic in the parameters" in str(caught.value.__cause__)


def test_partitions_of_dask():
    dataframe = pytest.importorskip("dask.dataframe")
    X = pd.DataFrame(whole(200), columns=list("abc"))
    added = G()
    for part in dataframe.from_pandas(X, npartitions=4).partitions:
        added.partial_fit(part.compute())
    np.testing.assert_allclose(added.covariance_, G().fit(X).covariance_, rtol=1e-9)
    assert list(added.feature_names_in_) == ["a", "b", "c"]
