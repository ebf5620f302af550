"""Bias and coverage of fits with holes, by rule and mechanism.

Run ``python -m benchmarks.missing.coverage`` from the root of the repository, with ``--quick`` for
ten tables, or with ``--only importance`` to print the rules of that name alone. Every table is
fitted by every rule and asked for 95 % intervals of the mean and the covariance. The bias of a rule
is the mean error of a parameter over its Monte-Carlo standard error.
"""

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Annotated, NamedTuple

import numpy as np
import typer
from scipy.stats import norm
from tqdm.auto import tqdm

from benchmarks.machine import Time, describe, markdown_table, save, stopwatch
from sm_estimators import (
    GaussianScoreMatching,
    Importance,
    Imputation,
    InversePropensity,
    PropensityTilt,
    ScoreMatchingEstimator,
)
from sm_estimators._spec import spec
from sm_estimators.densities import AbstractExponentialFamily, PairwiseGaussian


@spec
class Pairwise(AbstractExponentialFamily):
    """The Gaussian as an exponential family that does not know it, in terms of its moments."""

    column_axes = {"location": 1, "covariance": 2}  # noqa: RUF012 (read only)

    def sufficient_statistics(self, x):
        """Return x, −x²/2 and the products of pairs."""
        return PairwiseGaussian().sufficient_statistics(x)

    def score_and_curvature(self, params, x):
        """Return h − Kx and −diag K."""
        return PairwiseGaussian().score_and_curvature(params, x)

    def quantities(self, params):
        """Return mean and covariance."""
        theta = np.asarray(params, float)
        d = int((np.sqrt(9 + 8 * len(theta)) - 3) / 2)
        K = np.diag(theta[d : 2 * d])
        K[np.triu_indices(d, 1)] = theta[2 * d :]
        covariance = np.linalg.inv(K + np.triu(K, 1).T)
        return {"location": covariance @ theta[:d], "covariance": (covariance + covariance.T) / 2}


class Design(NamedTuple):
    """Rows of a Gaussian, and the chance of each pattern of holes given the first columns."""

    name: str
    mean: np.ndarray
    covariance: np.ndarray
    patterns: tuple[tuple[int, ...], ...]
    """Columns that are lost together; the first pattern is complete."""
    slopes: np.ndarray
    """Of the log-odds of every pattern against the first, (n_patterns, n_drivers)."""
    intercepts: np.ndarray

    def table(self, rng: np.random.Generator, n: int, *, mar: bool) -> np.ndarray:
        """Return a table; without ``mar`` its patterns are dealt out to the rows at random."""
        X = rng.multivariate_normal(self.mean, self.covariance, n, method="cholesky")
        drivers = self.slopes.shape[1]
        odds = np.exp(self.intercepts + (X[:, :drivers] - self.mean[:drivers]) @ self.slopes.T)
        chance = np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)
        pattern = (rng.random((n, 1)) > chance[:, :-1]).sum(axis=1)
        if not mar:
            pattern = rng.permutation(pattern)
        for p, lost in enumerate(self.patterns):
            X[np.ix_(pattern == p, lost)] = np.nan
        return X

    def truth(self) -> np.ndarray:
        """Return mean and covariance, upper triangle, in the order of the intervals."""
        return np.concatenate([self.mean, self.covariance[np.triu_indices(len(self.mean))]])


def three_columns(name: str, slope: float) -> Design:
    """Return three columns; the first decides, logistically, about the other two."""
    covariance = np.array([[1.0, 0.6, 0.4], [0.6, 1.0, 0.5], [0.4, 0.5, 1.0]])
    slopes = slope * np.array([[0.0], [1.0], [-1.0], [0.0]])
    intercepts = np.array([0.0, -0.5, -0.5, -1.0])
    patterns = (), (1,), (2,), (1, 2)
    return Design(name, np.full(3, 0.5), covariance, patterns, slopes, intercepts)


def eight_columns(name: str, slope: float) -> Design:
    """Return eight columns with overlapping patterns that the first two columns decide about."""
    factors = np.random.default_rng(8).standard_normal((8, 16))
    scale = np.sqrt((factors**2).sum(axis=1))
    covariance = factors @ factors.T / np.outer(scale, scale)
    patterns = (), (2, 3), (3, 4, 5), (2, 6), (5, 6, 7), (4, 7)
    slopes = slope * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [0.7, 0.7]])
    intercepts = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    return Design(name, np.full(8, 0.5), covariance, patterns, slopes, intercepts)


DESIGNS = (
    three_columns("3 columns", 0.6),
    three_columns("3 columns, steep", 1.0),
    eight_columns("8 columns", 0.5),
)


class Rule(NamedTuple):
    """A way to fit, what is true of the mechanism, and the share of the tables it is run on."""

    name: str
    mechanism: str
    estimator: Callable
    shares: tuple[float, float, float]
    """Of the designs."""


Gaussian = GaussianScoreMatching
Sampled = partial(ScoreMatchingEstimator, "gaussian", random_state=0)
FromDraws = partial(
    ScoreMatchingEstimator,
    Pairwise(),
    objective="explicit",
    missing=Imputation(20),
    random_state=0,
)
Weighted = {"mechanism": InversePropensity()}
RULES = (
    Rule("imputation (EM)", "MCAR", Gaussian, (1, 0, 1)),
    Rule("exact", "MCAR", partial(Gaussian, missing="exact"), (1, 0, 1)),
    Rule("importance, 20 draws", "MCAR", partial(Sampled, missing=Importance(20)), (0.4, 0, 0)),
    Rule("importance, 100 draws", "MCAR", partial(Sampled, missing=Importance(100)), (1, 0, 0)),
    Rule("imputation (EM)", "MAR", partial(Gaussian, mechanism="mar"), (1, 1, 1)),
    Rule(
        "imputation, pairwise family, 20 draws",
        "MAR",
        partial(FromDraws, mechanism="mar"),
        (1, 0, 0),
    ),
    Rule(
        "exact, inverse propensity",
        "MAR",
        partial(Gaussian, missing="exact", **Weighted),
        (1, 1, 1),
    ),
    Rule(
        "exact, propensity tilt",
        "MAR",
        partial(Gaussian, missing="exact", mechanism=PropensityTilt()),
        (1, 0.6, 0.2),
    ),
    Rule(
        "importance, 100 draws, inverse propensity",
        "MAR",
        partial(Sampled, missing=Importance(100), **Weighted),
        (1, 0, 0.2),
    ),
    Rule("exact, mechanism ignored", "MAR", partial(Gaussian, missing="exact"), (1, 0, 1)),
    Rule(
        "complete cases, mechanism ignored",
        "MAR",
        partial(Gaussian, missing="complete_case"),
        (1, 0, 1),
    ),
)


class Measured(NamedTuple):
    """Errors and standard errors of all parameters, (n_tables, p), and seconds per table."""

    errors: np.ndarray
    standard_errors: np.ndarray
    seconds: float


def measure(rule: Rule, design: Design, n: int, n_tables: int) -> Measured:
    """Fit the rule to tables of ``n`` rows and collect its intervals."""
    found, start, truth = [], time.perf_counter(), design.truth()
    for seed in tqdm(range(n_tables), desc=f"{design.name}: {rule.name}"):
        rng = np.random.default_rng([len(truth), seed])
        X = design.table(rng, n, mar=rule.mechanism == "MAR")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            intervals = rule.estimator().fit(X).confidence_intervals(X)
        kept = intervals[~intervals.index.str.startswith("precision")]
        found.append([kept["estimate"] - truth, kept["standard_error"]])
    errors, standard_errors = np.array(found).swapaxes(0, 1)
    return Measured(errors, standard_errors, (time.perf_counter() - start) / n_tables)


def line(rule: Rule, measured: Measured) -> list[str]:
    """Return a line of the table: bias, size of the standard errors and coverage."""
    errors, claimed, seconds = measured
    spread = errors.std(axis=0, ddof=1)
    z = np.abs(errors.mean(axis=0)) / spread * np.sqrt(len(errors))
    covered = (np.abs(errors) < norm.ppf(0.975) * claimed).mean(axis=0)
    return [
        rule.name,
        rule.mechanism,
        f"{len(errors)}",
        f"{np.median(z):.1f}",
        f"{z.max():.1f}",
        f"{np.median(np.median(claimed, axis=0) / spread):.2f}",
        f"{covered.mean():.1%}",
        f"{covered.min():.1%} – {covered.max():.1%}",
        f"{seconds:.2f}",
    ]


HEADER = [
    "rule",
    "holes",
    "tables",
    "median bias",
    "largest bias",
    "claimed / actual",
    "coverage",
    "of single parameters",
    "seconds",
]


def study(design: Design, position: int, n: int, n_tables: int, only: str = "") -> str:
    """Return what was measured on one design, as Markdown."""
    lines = [
        line(rule, measure(rule, design, n, max(2, round(rule.shares[position] * n_tables))))
        for rule in RULES
        if rule.shares[position] > 0 and only in rule.name
    ]
    example = design.table(np.random.default_rng(0), 100_000, mar=True)
    lost, p = np.isnan(example), len(design.truth())
    complete = 1 - lost.any(axis=1).mean()
    chance = norm.isf(0.025 / p)
    return f"""## {design.name}

{len(design.patterns)} patterns, {lost.mean():.0%} of the cells lost, {complete:.0%} of the rows
complete. Of {p} independent biases the largest is above {chance:.1f} in 5 % of studies.

{markdown_table(HEADER, lines)}
"""


def report(parts: list[str], n: int, taken: Time) -> str:
    """Return the page."""
    body = "\n".join(parts)
    return f"""# Coverage of confidence intervals with holes

{describe("numpy", "scipy", "jax", "scikit-learn")} It took
{taken.wall / 60:.0f} minutes, {taken.cpu / 60:.0f} of the processor.

n = {n} rows; nominal coverage 95 %, of means and covariances. Bias: mean error of a parameter in
Monte-Carlo standard errors of that mean. Claimed / actual: median standard error over the standard
deviation of the estimates, in the middle of the parameters. MAR: the chance of a pattern is a
multinomial logit of one (3 columns) or two (8 columns) columns that are always seen; MCAR: the same
patterns, dealt out to the rows at random. The coverage of one parameter has a Monte-Carlo standard
error of 1 % with 500 tables and 2 % with 100. Seconds are per table, fit and intervals, with what
is compiled on first use.

In the steep design a few rows carry most of the inverse weight, and normal intervals around a mean
so weighted are too narrow. Neither imputation nor the tilt weighs rows. Importance has a bias that
falls as one over its draws, while standard errors fall as one over √n: with n = 2000 it shows at 20
draws, the default, and not at 100.

{body}"""


def main(
    *,
    quick: Annotated[bool, typer.Option(help="Ten tables of every rule.")] = False,
    only: Annotated[str, typer.Option(help="Print the rules with this in their names.")] = "",
    designs: Annotated[str, typer.Option(help="Positions of the designs.")] = "012",
) -> None:
    """Measure and write the tables."""
    n, n_tables = 2000, 10 if quick else 500
    with stopwatch() as taken:
        parts = [study(DESIGNS[i], i, n, n_tables, only) for i in map(int, designs)]
    text = report(parts, n, taken)
    partial_run = quick or only or designs != "012"
    print(text) if partial_run else save("missing_coverage.md", text)


if __name__ == "__main__":
    typer.run(main)
