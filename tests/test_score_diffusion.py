"""Noise-conditional estimators: what they learn, from holes too, and what users do with them."""

import pickle
from functools import cache

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sm_estimators.diffusion.training as training
from sm_estimators import (
    Ancestral,
    Classifier,
    ClassifierFree,
    ColumnAttention,
    Consistency,
    LinearConstraint,
    MultiscaleDenoising,
    NoiseConditionalScore,
    ResidualMLP,
    ScoreDiffusion,
    ScoreMatchingImputer,
    VariancePreserving,
)
from sm_estimators.diffusion.evaluate import log_densities
from sm_estimators.diffusion.roles import Roles
from sm_estimators.estimators._fillers import DensityFiller

# A mixture would know what the network is to learn.
TINY = {
    "network": ResidualMLP(16, 1, 1),
    "max_iter": 300,
    "n_components": 1,
    "random_state": 0,
    "n_flow_steps": 20,
}
LEARNING = {
    "network": ResidualMLP(64, 2, 2),
    "max_iter": 1500,
    "n_components": 1,
    "random_state": 0,
}
MODES = np.array([[-2.5, -2.5, -1.0], [2.5, 2.5, 1.0]])


def rows(n, seed=0):
    """Return rows of two modes of weights .3 and .7, columns 0 and 1 correlated, with labels."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.7).astype(int)
    noise = rng.normal(size=(n, 3))
    noise[:, 1] = 0.8 * noise[:, 0] + 0.6 * noise[:, 1]
    return MODES[label] + noise, label


def log_density(X):
    """Return the log-density that ``rows`` follow."""
    covariance = np.array([[1, 0.8, 0], [0.8, 1, 0], [0, 0, 1]])
    precision, determinant = np.linalg.inv(covariance), np.linalg.det(covariance)
    d = X[:, None] - MODES
    q = -0.5 * np.einsum("nki,ij,nkj->nk", d, precision, d)
    return np.log(np.exp(q) @ [0.3, 0.7]) - 0.5 * np.log((2 * np.pi) ** 3 * determinant)


def punched(X, seed=1):
    holes = np.random.default_rng(seed).random(X.shape) < 0.25
    holes[holes.all(axis=1), 0] = False
    return np.where(holes, np.nan, X)


def punched_mar(X, seed=1):
    """Return rows whose second column is more often missing where the first is large."""
    X = X.copy()
    gone = np.random.default_rng(seed).random(len(X)) < 0.7 * (X[:, 0] > 0)
    X[gone, 1] = np.nan
    return X


@cache
def learned(rule="hiding"):
    X, label = rows(2000)
    return {
        "hiding": lambda: ScoreDiffusion(**LEARNING).fit(punched(X)),
        "imputation": lambda: ScoreDiffusion(mechanism="mar", **LEARNING).fit(punched_mar(X)),
        "labels": lambda: ScoreDiffusion(**LEARNING).fit(X, np.array(["low", "high"])[label]),
    }[rule]()


@cache
def tiny():
    return ScoreDiffusion(**TINY).fit(punched(rows(200)[0]))


@pytest.mark.parametrize("rule", ["hiding", "imputation"])
def test_densities_and_weights_of_modes_are_learned_from_holes(rule):
    estimator, (X, _) = learned(rule), rows(2000, seed=5)
    assert estimator.missing_ == rule
    divergence = log_density(X) - estimator.score_samples(X)
    error = divergence.std() / np.sqrt(len(X))
    # A mean below zero is chance; that of one Gaussian is above half a nat.
    assert -4 * error < divergence.mean() < 0.1 + 4 * error
    draws = estimator.sample(4000, random_state=0)
    fitted = (rows(2000)[1] == 1).mean()
    error = np.sqrt(0.21 / 4000)
    assert abs((draws[:, 0] > 0).mean() - fitted) < 4 * error + 0.02
    assert np.isclose(np.corrcoef(draws[:, :2].T)[0, 1], np.corrcoef(X[:, :2].T)[0, 1], atol=0.02)


@pytest.mark.parametrize("rule", ["hiding", "imputation"])
def test_imputations_follow_the_conditional(rule):
    """Given x₀ in the upper mode, x₁ is normal around 2.5 + .8 (x₀ − 2.5), with deviation .6."""
    n = 3000
    X = np.tile([3.0, np.nan, 1.0], (n, 1))
    filled = learned(rule).impute(X, random_state=0)[0]
    np.testing.assert_array_equal(filled[:, [0, 2]], X[:, [0, 2]])
    assert abs(filled[:, 1].mean() - 2.9) < 4 * 0.6 / np.sqrt(n) + 0.12
    assert abs(filled[:, 1].std() - 0.6) < 4 * 0.6 / np.sqrt(2 * n) + 0.08
    filler = DensityFiller(learned(rule), None)
    means = filler.means(X[:1], ~np.isnan(X[:1]), n_draws=40, seed=0)
    assert abs(means[0, 1] - 2.9) < 0.15


def test_densities_of_incomplete_rows_are_marginal():
    X = np.column_stack([np.linspace(-5, 5, 200), np.full((200, 2), np.nan)])
    mixture = 0.3 * np.exp(-0.5 * (X[:, 0] + 2.5) ** 2) + 0.7 * np.exp(-0.5 * (X[:, 0] - 2.5) ** 2)
    density = np.exp(learned().score_samples(X))
    step = X[1, 0] - X[0, 0]
    assert abs(density.sum() * step - 1) < 0.02  # the tails beyond ±5 hold 0.6 %
    error = np.abs(density - mixture / np.sqrt(2 * np.pi))
    assert error.sum() * step < 0.25  # total variation is half of it; 1.1 for one Gaussian


def test_scores_point_where_the_density_grows():
    X = np.array([[2.0, 1.5, 0.5], [-3.0, -2.0, np.nan]])
    s = learned().stein_score(X, noise_scale=0.1)
    assert np.isnan(s[1, 2])
    e = 1e-3
    for j in range(3):
        step = e * np.eye(3)[j]
        slope = (log_density(X[:1] + step) - log_density(X[:1] - step)) / (2 * e)
        assert abs(s[0, j] - slope[0]) < 0.5  # of scores between -2 and 2
    with pytest.raises(ValueError, match="`noise_scale` must lie between"):
        learned().stein_score(X, noise_scale=1e-9)


def test_codes_are_normal_and_go_back():
    X = rows(500, seed=3)[0]
    codes = learned().encode(X)
    assert np.abs(codes.mean(axis=0)).max() < 4 / np.sqrt(500) + 0.1
    assert np.abs(codes.std(axis=0) - 1).max() < 4 / np.sqrt(1000) + 0.1
    np.testing.assert_allclose(learned().decode(codes), X, atol=1e-3)
    way = learned().interpolate(X[0], X[1], 5)
    np.testing.assert_allclose(way[[0, -1]], X[:2], atol=1e-3)
    with pytest.raises(ValueError, match="rows without holes"):
        learned().encode(np.array([[np.nan, 0.0, 0.0]]))
    with pytest.raises(ValueError, match="shape"):
        learned().decode(codes[:, :2])


def test_labels_choose_the_mode_and_guidance_exaggerates_it():
    estimator = learned("labels")
    assert estimator.classes_.tolist() == ["high", "low"]
    plain = estimator.sample(1000, y="low", random_state=0)
    assert (plain[:, 0] < 0).mean() > 0.98
    far = estimator.sample(1000, y="low", guidance=ClassifierFree(3.0), random_state=0)
    assert far[:, 0].mean() < plain[:, 0].mean() - 0.1
    anything = estimator.sample(1000, random_state=0)
    assert abs((anything[:, 0] > 0).mean() - 0.7) < 4 * np.sqrt(0.21 / 1000) + 0.03
    X = rows(300, seed=4)[0]
    gain = estimator.score_samples(X, y="high") - estimator.score_samples(X)
    assert (gain[X[:, 0] > 1] > 0).mean() > 0.9
    each = estimator.sample(4, y=["low", "high", "low", "high"], random_state=0)
    assert (np.sign(each[:, 0]) == [-1, 1, -1, 1]).all()


def test_labels_choose_the_mode_of_a_mixture_too():
    X, label = rows(600)
    estimator = ScoreDiffusion(**{**TINY, "n_components": 2}).fit(X, label)
    assert estimator.params_.backbone.shares.max() > 0.3
    low = estimator.sample(500, y=0, random_state=0)
    assert (low[:, 0] < 0).mean() > 0.97
    filled = estimator.impute(np.tile([3.0, np.nan, 1.0], (500, 1)), random_state=0)[0]
    assert abs(filled[:, 1].mean() - 2.9) < 4 * 0.6 / np.sqrt(500) + 0.12


def test_a_classifier_and_a_constraint_lead_the_draws():
    estimator = learned("labels")
    upper = Classifier(lambda x: jax.nn.log_sigmoid(8 * x[2]))
    assert (estimator.sample(500, guidance=upper, random_state=0)[:, 2] > 0).mean() > 0.95
    total = LinearConstraint([[1.0, 1.0, 1.0]], [4.0])
    draws = estimator.sample(200, guidance=total, random_state=0)
    np.testing.assert_allclose(draws.sum(axis=1), 4.0, atol=1e-3)
    filled = estimator.impute([[3.0, np.nan, np.nan]] * 50, guidance=total, random_state=0)[0]
    np.testing.assert_allclose(filled.sum(axis=1), 4.0, atol=1e-3)


def test_covariates_move_the_rows():
    rng = np.random.default_rng(0)
    t = rng.normal(size=800)
    X = np.column_stack([2 * t, -t]) + rng.normal(size=(800, 2))
    estimator = ScoreDiffusion(**{**LEARNING, "max_iter": 600}).fit(X, t)
    draws = estimator.sample(1000, y=1.0, random_state=0)
    assert np.abs(draws.mean(axis=0) - [2, -1]).max() < 4 / np.sqrt(1000) + 0.15


def test_a_distilled_network_draws_in_two_steps():
    estimator = pickle.loads(pickle.dumps(learned()))
    estimator.set_params(sampler=Consistency(2))
    with pytest.raises(NotFittedError, match="distill"):
        estimator.sample(3)
    X = rows(2000)[0]
    estimator.distill(X, max_iter=2000)
    draws = estimator.sample(2000, random_state=0)
    assert abs((draws[:, 0] > 0).mean() - 0.7) < 0.05
    assert np.abs(np.cov(draws.T) - np.cov(X.T)).max() < 0.8  # of variances of 5 to 6


@pytest.mark.parametrize(("mechanism", "n_components"), [("mcar", 2), ("mar", 1)])
def test_an_interrupted_fit_goes_on_to_the_same_result(
    tmp_path, monkeypatch, mechanism, n_components
):
    X = punched(rows(200)[0])
    settings = {
        **TINY,
        "max_iter": 600,
        "mechanism": mechanism,
        "n_components": n_components,
        "n_refreshes": 2,
    }
    whole = ScoreDiffusion(**settings).fit(X)
    file = tmp_path / "fit.npz"
    estimator = ScoreDiffusion(checkpoint=file, **settings)
    round_ = training.Run.round

    def interrupted(run, state, steps):
        if steps[0] == 400:
            raise KeyboardInterrupt
        return round_(run, state, steps)

    with monkeypatch.context() as patch:
        patch.setattr(training.Run, "round", interrupted)
        with pytest.raises(KeyboardInterrupt, match="best parameters"):
            estimator.fit(X)
    assert estimator.sample(2).shape == (2, 3)
    assert estimator.n_iter_ == 400
    resumed = clone(estimator).fit(X)
    for a, b in zip(jax.tree.leaves(whole.params_), jax.tree.leaves(resumed.params_), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(whole.loss_curve_, resumed.loss_curve_)
    assert [path.name for path in tmp_path.iterdir()] == ["fit.npz"]
    with pytest.raises(ValueError, match="another fit"):
        clone(estimator).set_params(random_state=1).fit(X)
    mine = tmp_path / "mine.csv"
    mine.write_text("a,b\n")
    with pytest.raises(ValueError, match="no checkpoint"):
        clone(estimator).set_params(checkpoint=mine).fit(X)
    assert mine.read_text() == "a,b\n"


def test_parts_of_a_table_can_come_one_by_one():
    X = punched(rows(600)[0])
    estimator = ScoreDiffusion(**TINY)
    for part in np.split(X, 3):
        estimator.partial_fit(part)
    assert estimator.n_iter_ == 6
    assert estimator.sample(5).shape == (5, 3)
    again = ScoreDiffusion(**TINY).partial_fit(X[:200]).partial_fit(X[200:400])
    before = again.params_.weights["out"].copy()
    assert not np.array_equal(before, again.partial_fit(X[400:]).params_.weights["out"])
    with pytest.raises(ValueError, match="cannot impute"):
        ScoreDiffusion(mechanism="mar").partial_fit(X)


def test_a_warm_start_goes_on():
    X = punched(rows(200)[0])
    estimator = ScoreDiffusion(**TINY, warm_start=True).fit(X)
    first = estimator.loss_curve_
    assert estimator.fit(X).loss_curve_[0] < first[0]
    assert estimator.fit(rows(200)[0][:, :2]).n_features_in_ == 2


def test_equal_seeds_give_equal_results_and_order_does_not_matter():
    X = punched(rows(200)[0])
    a, b = (ScoreDiffusion(**TINY).fit(table) for table in (X, X[::-1]))
    np.testing.assert_array_equal(a.score_samples(X), b.score_samples(X))
    draws = [a.sample(3, random_state=s) for s in (0, 0, 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def test_a_second_fit_compiles_nothing(traces):
    X = punched(rows(200)[0])
    tiny()
    traces.clear()
    ScoreDiffusion(**{**TINY, "learning_rate": 1e-3, "random_state": 3}).fit(X[:150])
    assert traces == []


def test_it_sits_in_pipelines_and_searches():
    X = pd.DataFrame(punched(rows(120)[0]), columns=list("abc"))
    small = {**TINY, "max_iter": 100}
    pipeline = make_pipeline(StandardScaler(), ScoreDiffusion(**small))
    search = GridSearchCV(
        pipeline, {"scorediffusion__objective": ["denoising", MultiscaleDenoising("noise")]}, cv=2
    )
    assert np.isfinite(search.fit(X).best_score_)
    filled = ScoreMatchingImputer(ScoreDiffusion(**small)).fit_transform(X)
    assert list(filled.columns) == list("abc")
    assert not filled.isna().any().any()
    tables = tiny().impute(X.to_numpy(), 2, random_state=0)
    assert tables.shape == (2, 120, 3)


@pytest.mark.parametrize(
    "choice",
    [
        {"objective": "sliced"},
        {"objective": "flow_matching"},
        {"parameterisation": "energy"},
        {"parameterisation": "noise", "backbone": "diagonal"},
        {"network": ColumnAttention(8, 1, 2, 1)},
        {"process": VariancePreserving(), "sampler": Ancestral(8)},
        {"missing": "complete_case"},
        {"n_projections": 4},
        {"flow_tolerance": 1e-2},
    ],
    ids=lambda choice: "-".join(map(str, choice.values()))[:20],
)
def test_every_choice_fits_and_draws(choice):
    X = punched(rows(150)[0])
    estimator = ScoreDiffusion(**{**TINY, "max_iter": 100, **choice}).fit(X)
    assert estimator.sample(4, random_state=0).shape == (4, 3)
    values, error = estimator.score_samples(X[:10], return_standard_error=True)
    assert np.isfinite(values).all()
    assert (error > 0).all() if choice.get("n_projections") else (error == 0).all()


def test_the_flow_of_an_energy_gives_its_density():
    """Log-densities by the flow and by the energy differ by one constant: the energy is one."""
    X = rows(600)[0]
    estimator = ScoreDiffusion(
        ResidualMLP(32, 1, 2),
        parameterisation="energy",
        max_iter=400,
        joint=1.0,
        n_components=2,
        random_state=0,
    ).fit(X)
    assert 0 < estimator.params_.backbone.shares.max() <= 1
    Z = (X[:200] - X.mean(axis=0)) / X.std(axis=0)
    fitted = estimator._units.standardise(X[:200], np.ones((200, 3), bool))
    assert np.abs(Z - fitted).max() < 0.01
    roles = Roles(np.ones(Z.shape, bool), np.zeros(Z.shape, bool))
    first = estimator.noise_scales_[0]
    energy = log_densities(estimator.denoiser_, estimator.params_, fitted, first, roles)
    difference = estimator.score_samples(X[:200]) - energy
    # The flow follows the scores of all noise scales, each of which is learned for itself: the
    # two agree as far as these do. Of unrelated densities the ratio would be above one.
    assert difference.std() < 0.3 * energy.std()


def test_a_mixture_joins_the_network_where_it_helps():
    X, test = rows(1000)[0], rows(2000, seed=5)[0]
    alone, joined = (
        ScoreDiffusion(**{**TINY, "n_components": k}, joint=1.0).fit(punched(X))
        for k in (1, "auto")
    )
    assert alone.params_.backbone.shares.max() == 0
    shares = joined.params_.backbone.shares
    assert ((shares >= 0) & (shares <= 1)).all()
    assert shares.mean() > 0.5
    gain = joined.score_samples(test) - alone.score_samples(test)
    assert gain.mean() > 4 * gain.std() / np.sqrt(len(gain))
    divergence = log_density(test) - joined.score_samples(test)
    # 19 numbers of a mixture cost about 19 / 2n nats.
    assert divergence.mean() < 19 / 2000 + 4 * divergence.std() / np.sqrt(2000) + 0.02


def test_the_published_estimator_draws_the_modes():
    X, _ = rows(2000)
    settings = {name: LEARNING[name] for name in ("network", "max_iter", "random_state")}
    estimator = NoiseConditionalScore(**settings, noise_scales=(0.05, 8.0), n_levels=12).fit(X)
    assert estimator.denoiser_.parameterisation == "noise"
    draws = estimator.sample(2000, random_state=0)
    assert abs((draws[:, 0] > 0).mean() - 0.7) < 0.08
    assert np.abs(draws[draws[:, 0] > 0].mean(axis=0) - MODES[1]).max() < 0.3


def test_the_masked_baseline_is_named_as_one():
    X = punched(rows(150)[0])
    with pytest.warns(UserWarning, match="biased under every mechanism"):
        ScoreDiffusion(**{**TINY, "max_iter": 100}, missing="zeroed").fit(X)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"missing": "hiding", "mechanism": "mar"}, "biased when"),
        ({"missing": "importance"}, "`missing` must be 'auto' or one of"),
        ({"mechanism": "mnar"}, "`mechanism` must be 'mcar' or 'mar'"),
        ({"network": "cnn"}, "`network` must be one of 'mlp', 'attention'"),
        ({"process": "slow"}, "`process` must be one of"),
        ({"objective": "likelihood"}, "`objective` must be one of"),
        ({"sampler": "nuts"}, "`sampler` must be one of"),
        ({"sampler": Ancestral}, "Call it: Ancestral"),
        ({"parameterisation": "picture"}, "`parameterisation` must be one of"),
        ({"backbone": "wide"}, "backbone"),
        ({"n_components": 0}, "n_components"),
    ],
)
def test_fits_refuse_what_cannot_be(change, words):
    with pytest.raises(ValueError, match=words):
        ScoreDiffusion(**{**TINY, **change}).fit(punched(rows(50)[0]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda e: e.sample(0), "`n_samples` must be a positive"),
        (lambda e: e.sample(2, y="a"), "`y` was given, but the fit had none"),
        (lambda e: e.sample(2, guidance="strong"), "`guidance` must be"),
        (lambda e: e.sample(2, guidance=LinearConstraint([[1.0]], [0.0])), "`A` has 1 columns"),
        (lambda e: e.impute(np.zeros((2, 2))), "features"),
        (lambda e: e.score(np.full((2, 3), np.nan)), "no row with a seen value"),
        (lambda e: e.score_samples(np.full((1, 3), np.inf)), "infinity"),
        (lambda e: learned("labels").sample(2, y="other"), "none of the classes"),
        (lambda e: learned("labels").sample(3, y=["low", "high"]), "one value or one per row"),
        (lambda e: clone(e).fit(rows(5)[0], np.zeros(4)), "`y` must hold a label"),
        (lambda e: clone(e).fit(np.ones((9, 2))), "are equal"),
        (lambda e: clone(e).partial_fit(np.ones((9, 2))), "are equal"),
        (lambda e: e.__class__(checkpoint="no.npz").fit(rows(9)[0]), "integer `random_state`"),
    ],
)
def test_calls_refuse_what_cannot_be(call, words):
    with pytest.raises(ValueError, match=words):
        call(tiny())


def test_a_row_without_a_seen_value_has_density_one():
    assert tiny().score_samples(np.full((1, 3), np.nan))[0] == pytest.approx(0.0, abs=1e-6)
