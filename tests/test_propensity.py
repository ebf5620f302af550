import numpy as np
import pytest
from scipy.special import chdtri, expit, logsumexp
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC

from sm_estimators.missingness import PatternPropensity

PATTERNS = np.array([[1, 1, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0], [1, 1, 0, 0]], bool)
LOG_ODDS = np.array([[0.0, 0.0, 0.0], [-0.3, 0.8, 0.0], [-0.6, -0.5, 0.2], [-0.2, 0.3, -0.4]])
"""Rows: patterns. Columns: intercept and slopes of x0 and x1. The flags are dependent given x."""


def table_with_patterns(n, rng, log_odds=LOG_ODDS, patterns=PATTERNS):
    """Complete rows of four columns of mean zero, and flags that depend on the first two."""
    mixing = np.eye(4) + 0.6 * np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]])
    X = rng.normal(size=(n, 4)) @ mixing * [1.0, 2.0, 1.0, 1.0]
    Z = np.column_stack([np.ones(n), X[:, :2]])
    label = (Z @ log_odds.T + rng.gumbel(size=(n, len(patterns)))).argmax(axis=1)
    return X, patterns[label]


@pytest.fixture(scope="module", name="table")
def multinomial_table():
    return table_with_patterns(6000, np.random.default_rng(0))


@pytest.fixture(scope="module", name="sparse")
def sparse_table():
    """A table whose patterns are all rare, and the log-odds of its flags."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(1500, 16))
    log_odds = 0.3 + X[:, [0]] * np.where(np.arange(16) % 2, 0.7, -0.7)
    observed = rng.random(X.shape) < expit(log_odds)
    observed[:, 0] = True
    return X, observed, log_odds


def with_flags(observed, columns, value):
    changed = observed.copy()
    changed[:, columns] = value
    return changed


# ---- the propensities are those of the mechanism -------------------------------------------


def test_recovers_a_multinomial_logistic_mechanism(table):
    X, observed = table
    fitted = PatternPropensity().fit(X, observed)
    assert fitted.kind_ == "patterns"
    np.testing.assert_array_equal(fitted.predictors_, [0, 1])
    origin = np.zeros((4, 4))
    log_phi, slopes = fitted.log_propensity(origin, PATTERNS), fitted.gradient(origin, PATTERNS)
    estimate = np.column_stack([log_phi, slopes[:, :2]])[1:]
    error = (estimate - np.column_stack([log_phi, slopes[:, :2]])[0] - LOG_ODDS[1:]).ravel()
    # Wald's statistic with the Fisher information at the truth: chi-squared with 9 degrees.
    Z = np.column_stack([np.ones(len(X)), X[:, :2]])
    logits = Z @ LOG_ODDS.T
    p = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))[:, 1:]
    within = np.einsum("ip,pq->ipq", p, np.eye(3)) - p[:, :, None] * p[:, None, :]
    information = np.einsum("ipq,ij,ik->pjqk", within, Z, Z).reshape(9, 9)
    assert error @ information @ error < chdtri(9, 1e-3)


def test_probabilities_of_all_patterns_add_up_to_one(table):
    X, observed = table
    fitted = PatternPropensity().fit(X, observed)
    each = [fitted.log_propensity(X, np.tile(pattern, (len(X), 1))) for pattern in PATTERNS]
    np.testing.assert_allclose(logsumexp(each, axis=0), 0.0, atol=1e-12)


def test_rare_patterns_are_products_over_columns(sparse):
    X, observed, log_odds = sparse
    fitted = PatternPropensity().fit(X, observed)
    assert fitted.kind_ == "columns"
    assert fitted.rare_.all()
    for j in range(1, 16):
        seen, lost = (fitted.log_propensity(X, with_flags(observed, j, s)) for s in (True, False))
        error, p = (seen - lost) - log_odds[:, j], expit(log_odds[:, j])
        # A logistic regression of two parameters: Σ p (1 − p) error² is chi-squared with two.
        assert (p * (1 - p) * error**2).sum() < chdtri(2, 1e-3 / 15)


def test_frequent_and_rare_patterns_side_by_side():
    rng = np.random.default_rng(2)
    X, observed = table_with_patterns(3000, rng)
    X, observed = (
        np.column_stack([X, X[:, 3]]),
        np.column_stack([observed, rng.random(3000) > 0.01]),
    )
    fitted = PatternPropensity().fit(X, observed)
    assert fitted.kind_ == "patterns"
    np.testing.assert_array_equal(fitted.rare_, ~fitted.patterns_[:, 4])
    weights = fitted.weights(X, observed)
    # Frequent patterns come from a classifier whose fitted probabilities have the right sum.
    rare = ~observed[:, 4]
    frequent = [fitted.log_propensity(X, np.tile(p, (3000, 1))) for p in fitted.patterns_[:4]]
    assert np.exp(frequent).sum(axis=0).mean() == pytest.approx(1 - rare.mean(), abs=1e-4)
    assert abs(weights[rare].mean() - 1) < 4 * weights[rare].std() / np.sqrt(rare.sum())
    check_gradient(fitted, X[:400], observed[:400])


def test_patterns_beyond_the_fiftieth_are_rare():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(3000, 7))
    observed = rng.random(X.shape) < [1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    fitted = PatternPropensity(GaussianNB(), min_rows=1).fit(X, observed)
    np.testing.assert_array_equal(fitted.rare_, np.arange(64) >= 50)


def test_columns_lost_together_count_once(sparse):
    X, observed, _ = sparse
    twice = [np.column_stack([T, T[:, 1:]]) for T in (X, observed)]
    once = PatternPropensity().fit(X, observed).log_propensity(X, observed)
    np.testing.assert_array_equal(PatternPropensity().fit(*twice).log_propensity(*twice), once)


def test_a_column_with_hardly_any_hole_has_one_probability(table):
    X, observed = table
    observed = with_flags(observed, [2, 3], True)
    observed[:5, 2] = False
    fitted = PatternPropensity().fit(X, observed)
    np.testing.assert_allclose(fitted.weights(X, observed)[:5], 1.0)
    assert not fitted.gradient(X, observed).any()


def test_one_pattern_has_probability_one(table):
    X, _ = table
    observed = np.tile(PATTERNS[1], (len(X), 1))
    fitted = PatternPropensity().fit(X, observed)
    np.testing.assert_array_equal(fitted.log_propensity(X, observed), 0.0)
    np.testing.assert_allclose(fitted.weights(X, observed), 1.0)
    assert not fitted.gradient(X, observed).any()
    assert fitted.effective_rows_ == pytest.approx(len(X))
    assert fitted.largest_share_ == pytest.approx(1 / len(X))


def test_patterns_new_to_the_fit_are_products_over_columns(table):
    X, observed = table
    known = ~(~observed[:, 2] & ~observed[:, 3])
    fitted = PatternPropensity().fit(X[known], observed[known])
    new = with_flags(observed, [2, 3], False)
    weights = fitted.weights(X, new)
    assert np.isfinite(weights).all()
    share = weights * np.exp(fitted.log_propensity(X, new))
    np.testing.assert_allclose(share, share[0])
    check_gradient(fitted, X[:100], new[:100])


def test_what_stands_in_holes_and_other_columns_changes_nothing(table):
    X, observed = table
    other = X.copy()
    other[:, 2:] = np.random.default_rng(0).permutation(other[:, 2:])
    first, second = (
        PatternPropensity().fit(T, observed) for T in (np.where(observed, X, np.nan), other)
    )
    np.testing.assert_array_equal(first.weights(X, observed), second.weights(other, observed))


# ---- weights -------------------------------------------------------------------------------


def weighted_error(x, weights, truth):
    """The error of a weighted mean, in standard errors."""
    mean = np.average(x, weights=weights)
    return (mean - truth) / (np.sqrt((weights**2 * (x - mean) ** 2).sum()) / weights.sum())


def test_weights_average_one_in_every_pattern(table):
    X, observed = table
    weights = PatternPropensity().fit(X, observed).weights(X, observed)
    for pattern in PATTERNS:
        own = weights[(observed == pattern).all(axis=1)]
        assert abs(own.mean() - 1) < 4 * own.std() / np.sqrt(len(own))


def test_weights_remove_the_bias_of_every_pattern(table):
    # All columns have mean zero. Of 13 unweighted means most, of 13 weighted ones none, are off.
    X, observed = table
    weights = PatternPropensity().fit(X, observed).weights(X, observed)
    unweighted = []
    for pattern in PATTERNS:
        own = (observed == pattern).all(axis=1)
        for j in np.flatnonzero(pattern):
            assert abs(weighted_error(X[own, j], weights[own], 0.0)) < 4
            unweighted.append(abs(weighted_error(X[own, j], np.ones(own.sum()), 0.0)))
    assert np.mean(np.array(unweighted) > 4) > 0.5


def test_weights_of_rare_patterns_remove_the_bias(sparse):
    X, observed, _ = sparse
    fitted = PatternPropensity().fit(X, observed)
    weights = fitted.weights(X, observed)
    # Where a column is seen, x0 is large, or small. Pooled over a thousand patterns the weighted
    # means are right, though most patterns have one row.
    x0, truth = X[:, 0], X[:, 0].mean()
    for seen in observed[:, 1:].T:
        assert abs(weighted_error(x0[seen], np.ones(seen.sum()), truth)) > 4
        assert abs(weighted_error(x0[seen], weights[seen], truth)) < 4
    assert abs(weights.mean() - 1) < 4 * weights.std() / np.sqrt(len(weights))


@pytest.mark.parametrize(
    "classifier",
    [
        HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=100, random_state=0),
        GaussianNB(),
        RandomForestClassifier(50, min_samples_leaf=50, random_state=0),
        KNeighborsClassifier(200),
        make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=500)),
        CalibratedClassifierCV(GaussianNB(), cv=2),
    ],
    ids=lambda c: type(c).__name__,
)
def test_any_classifier_with_probabilities(table, classifier):
    X, observed = table[0][:3000], table[1][:3000]
    weights = PatternPropensity(classifier).fit(X, observed).weights(X, observed)
    assert (weights > 0).all()
    assert bias(X, observed, weights) < 0.5 * bias(X, observed, np.ones(len(X)))


def bias(X, observed, weights):
    """The largest distance of a pattern's means of the predictors from those of all rows."""
    owns = [(observed == pattern).all(axis=1) for pattern in PATTERNS]
    means = [np.average(X[own, :2], axis=0, weights=weights[own]) for own in owns]
    return np.abs((means - X[:, :2].mean(axis=0)) / X[:, :2].std(axis=0)).max()


def test_effective_rows_and_largest_share_are_those_of_the_weights(table):
    X, observed = table
    sample_weight = np.random.default_rng(0).random(len(X))
    fitted = PatternPropensity().fit(X, observed, sample_weight=sample_weight)
    total = sample_weight * fitted.weights(X, observed)
    assert fitted.effective_rows_ == pytest.approx(total.sum() ** 2 / (total**2).sum())
    assert fitted.largest_share_ == pytest.approx(total.max() / total.sum())


# ---- gradients -----------------------------------------------------------------------------


def check_gradient(fitted, X, observed):
    """Compare with central differences, whose error is h² and eps / h, about 1e-10 at h = 1e-5."""
    gradient = fitted.gradient(X, observed)
    for j in range(X.shape[1]):
        h = np.zeros(X.shape[1])
        h[j] = 1e-5
        high, low = (fitted.log_propensity(X + s * h, observed) for s in (1, -1))
        # Differences inside, if any, have a step of 1e-4 deviations and an error of its square.
        np.testing.assert_allclose(gradient[:, j], (high - low) / 2e-5, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "classifier",
    [
        None,
        LogisticRegression(max_iter=1000),
        make_pipeline(StandardScaler(with_std=False), LogisticRegression(max_iter=1000)),
        make_pipeline("passthrough", StandardScaler(), StandardScaler(), LogisticRegression()),
        GaussianNB(),
        make_pipeline(PolynomialFeatures(2), StandardScaler(), LogisticRegression()),
    ],
    ids=["default", "logistic", "centred", "twice scaled", "bayes", "polynomial"],
)
@pytest.mark.parametrize("min_rows", [None, 10**6], ids=["patterns", "columns"])
def test_gradient_is_that_of_the_log_propensity(table, classifier, min_rows):
    X, observed = table[0][:1000] * [100.0, 1.0, 1.0, 1.0], table[1][:1000]
    fitted = PatternPropensity(classifier, min_rows=min_rows).fit(X, observed)
    assert fitted.kind_ == ("patterns" if min_rows is None else "columns")
    check_gradient(fitted, X[:50], observed[:50])
    assert fitted.gradient(X, observed).any(axis=0).tolist() == [True, True, False, False]


def test_gradient_of_products_over_columns(sparse):
    X, observed, _ = sparse
    fitted = PatternPropensity().fit(X, observed)
    check_gradient(fitted, X[:50], observed[:50])
    assert fitted.gradient(X, observed)[:, 0].any()


@pytest.mark.parametrize(
    "classifier",
    [
        HistGradientBoostingClassifier(max_iter=5, random_state=0),
        RandomForestClassifier(30, random_state=0),
        KNeighborsClassifier(50),
    ],
    ids=lambda c: type(c).__name__,
)
def test_piecewise_constant_classifiers_have_no_gradient(table, classifier):
    fitted = PatternPropensity(classifier).fit(*table)
    with pytest.raises(ValueError, match=r"vary smoothly.*Use the weights instead"):
        fitted.gradient(*table)


def test_a_constant_classifier_has_gradient_zero(table):
    assert not PatternPropensity(DummyClassifier()).fit(*table).gradient(*table).any()


# ---- arguments -----------------------------------------------------------------------------


def test_a_weight_of_two_is_a_row_given_twice(table):
    X, observed = table[0][:1000], table[1][:1000]
    weight = np.random.default_rng(0).integers(0, 3, 1000)
    weighted = PatternPropensity().fit(X, observed, sample_weight=weight)
    repeated = PatternPropensity().fit(*(np.repeat(T, weight, axis=0) for T in (X, observed)))
    # Both solvers stop at gradients of 1e-6 of a loss with curvature of about 0.1.
    np.testing.assert_allclose(
        weighted.weights(X, observed), repeated.weights(X, observed), rtol=1e-3
    )
    np.testing.assert_allclose(weighted.shares_, repeated.shares_)


def test_weights_that_a_classifier_cannot_take_are_reported(table):
    X, observed = table
    weight = np.arange(1.0, len(X) + 1)
    for classifier in (
        KNeighborsClassifier(),
        make_pipeline(StandardScaler(), KNeighborsClassifier()),
    ):
        with pytest.warns(UserWarning, match="`sample_weight` is not used by"):
            PatternPropensity(classifier).fit(X, observed, sample_weight=weight)
    PatternPropensity(KNeighborsClassifier()).fit(X, observed, sample_weight=np.ones(len(X)))


def test_predictors_are_the_columns_named(table):
    X, observed = table
    fitted = PatternPropensity(predictors=[1]).fit(X, observed)
    np.testing.assert_array_equal(fitted.predictors_, [1])
    assert fitted.gradient(X, observed).any(axis=0).tolist() == [False, True, False, False]


def test_is_cloned_with_its_classifier_and_leaves_it_alone(table):
    classifier = LogisticRegression()
    copy = clone(PatternPropensity(classifier, [0], min_rows=30)).set_params(classifier__C=0.5)
    assert (copy.predictors, copy.min_rows, copy.classifier.C) == ([0], 30, 0.5)
    PatternPropensity(classifier).fit(*table)
    assert not hasattr(classifier, "coef_")


def test_errors_are_sentences(table):
    X, observed = table
    holed = with_flags(observed, [0, 1], np.random.default_rng(0).random((len(X), 2)) > 0.1)
    nan = np.where(np.arange(len(X))[:, None] == 3, np.nan, X)
    for propensity, arguments, words in [
        (PatternPropensity(), (X, holed), "all 4 have holes. Fill one first"),
        (PatternPropensity(predictors=[2]), (X, observed), "column 2 is not in"),
        (PatternPropensity(predictors=[4]), (X, observed), r"integers from 0 to 3; got \[4\]"),
        (PatternPropensity(predictors=["a"]), (X, observed), "positions of columns"),
        (PatternPropensity(predictors=[]), (X, observed), "positions of columns"),
        (PatternPropensity(min_rows=0), (X, observed), "`min_rows`.*got 0"),
        (PatternPropensity(), (nan, observed), "finite in every row; column 0 is not in 1 of"),
        (PatternPropensity(), (X, observed[:5]), "tables of one shape"),
        (PatternPropensity(), (X, observed.astype(int)), "numbers and booleans"),
    ]:
        with pytest.raises(ValueError, match=words):
            propensity.fit(*arguments)
    for weight in (np.ones(3), -np.ones(len(X)), np.zeros(len(X))):
        with pytest.raises(ValueError, match="`sample_weight` must be 6000 finite numbers"):
            PatternPropensity().fit(X, observed, sample_weight=weight)
    for classifier in (SVC(), LogisticRegression):
        with pytest.raises(TypeError, match="must be an object with `predict_proba`"):
            PatternPropensity(classifier).fit(X, observed)


def test_errors_after_the_fit_are_sentences(table):
    X, observed = table
    with pytest.raises(NotFittedError):
        PatternPropensity().weights(X, observed)
    fitted = PatternPropensity().fit(X, observed)
    with pytest.raises(ValueError, match="the 4 columns of the fit; it has 3"):
        fitted.weights(X[:, :3], observed[:, :3])
    with pytest.raises(ValueError, match="column 0 is not in 6000 of 6000 rows"):
        fitted.weights(X, with_flags(observed, 0, False))
    with pytest.raises(ValueError, match=r"positive probability.*not in 1 of 1 rows"):
        PatternPropensity(GaussianNB()).fit(X, observed).weights(X[:1] + 1e4, PATTERNS[:1])
