"""Which columns depend on each other given all others."""

import warnings
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from sm_estimators.reporting.facts.features import Features, read_features, some_rows
from sm_estimators.reporting.facts.reason import NotPossibleError
from sm_estimators.reporting.subject import Subject

PENALTIES = tuple(float(x) for x in np.geomspace(0.5, 0.01, 9))
"""L1 penalties of the precision of standardised columns, in the order in which they are tried."""
N_FOLDS = 3
RIDGE = 0.01
WEAKEST = 0.05
"""Partial correlation of the weakest edge that is drawn."""
MOST_ROWS = 2000


class Edge(NamedTuple):
    """Two columns that are joined."""

    first: str
    second: str
    strength: float
    """|Partial correlation|; where a category takes part, the partial R of its flags."""
    sign: int
    """+1 or -1; 0 where a category takes part, which has no direction."""
    n_together: int
    """Rows that show both."""


class Graph(NamedTuple):
    """Columns and edges, the strongest first."""

    columns: list[str]
    edges: list[Edge]
    n_pairs: int
    n_apart: int
    """Pairs never seen together, between which no edge is drawn."""
    penalty: float
    n_rows: int
    absent: dict[str, str]


def graph(subject: Subject, random: np.random.Generator) -> Graph:
    """Fit sparse Gaussians to normal scores and flags, and take the best one's edges."""
    rows = some_rows(len(subject.frame), MOST_ROWS, random)
    features = read_features(subject, rows)
    if len(features.columns) < 2:
        raise NotPossibleError(
            "at least two columns that vary, with ten seen cells each, are needed for a graph."
        )
    Z = features.scaled()
    Z = Z[~np.isnan(Z).all(axis=1)]
    penalty = choose_penalty(Z, random)
    precision = fitted(Z, penalty).precision_
    together = (~np.isnan(features.values)).T.astype(int) @ (~np.isnan(features.values))
    found = [
        edge(features, precision, together, pair)
        for pair in combinations(range(len(features.columns)), 2)
    ]
    edges = [one for one in found if one.strength >= WEAKEST and one.n_together]
    return Graph(
        features.columns,
        sorted(edges, key=lambda one: -one.strength),
        len(found),
        sum(one.n_together == 0 for one in found),
        penalty,
        len(Z),
        features.absent,
    )


def fitted(Z: np.ndarray, penalty: float) -> Any:
    """Return a Gaussian fitted with holes by EM."""
    from sm_estimators import GaussianScoreMatching

    model = GaussianScoreMatching(mechanism="mar", ridge=RIDGE, l1=penalty, max_iter=100, tol=1e-4)
    with warnings.catch_warnings():
        # pairs never seen together are told elsewhere, and get no edge
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(Z)


def choose_penalty(Z: np.ndarray, random: np.random.Generator) -> float:
    """Return the largest penalty whose held-out rows are within a standard error of the best.

    Smaller and smaller penalties are tried until rows are predicted worse.
    """
    fold = random.permutation(np.arange(len(Z)) % N_FOLDS)
    scores: list[np.ndarray] = []
    for penalty in PENALTIES:
        scores.append(held_out(Z, fold, penalty))
        if len(scores) > 1 and scores[-1].mean() < scores[-2].mean():
            break
    best = max(scores, key=np.mean)
    behind = np.array([best - one for one in scores])
    error = behind.std(axis=1) / np.sqrt(len(Z))
    return PENALTIES[int(np.argmax(behind.mean(axis=1) <= error))]


def held_out(Z: np.ndarray, fold: np.ndarray, penalty: float) -> np.ndarray:
    """Return the log-density (n,) of what was seen of each row, under a fit without its fold."""
    scores = np.empty(len(Z))
    for k in range(N_FOLDS):
        out = fold == k
        refuse_unseen(Z[~out])
        scores[out] = fitted(Z[~out], penalty).score_samples(Z[out])
    return scores


def refuse_unseen(Z: np.ndarray) -> None:
    """Refuse rows that show nothing of some column."""
    if np.isnan(Z).all(axis=0).any():
        raise NotPossibleError("a column is seen in too few rows for a cross-validation.")


def edge(
    features: Features, precision: np.ndarray, together: np.ndarray, pair: tuple[int, int]
) -> Edge:
    """Return how two columns are joined, with strength 0 where they are not."""
    a, b = (features.block(column) for column in pair)
    strength, sign = partial_r(precision, a, b)
    first, second = (features.columns[column] for column in pair)
    flagged = any(features.labels[block[0]] != name for block, name in ((a, first), (b, second)))
    return Edge(first, second, strength, 0 if flagged else sign, int(together[a[0], b[0]]))


def partial_r(precision: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, int]:
    r"""Return the partial correlation of two blocks of columns, and its sign for single ones.

    With S the covariance of both given all others, R² = 1 - (|S| / |S_aa| |S_bb|)^(1/s), where s
    is the size of the smaller block: the squared partial correlation of two single columns, the
    squared multiple partial correlation of one with a block.
    """
    if not precision[np.ix_(a, b)].any():
        return 0.0, 0
    both = np.concatenate([a, b])
    S = np.linalg.inv(precision[np.ix_(both, both)])
    k = len(a)
    logs = [np.linalg.slogdet(M)[1] for M in (S, S[:k, :k], S[k:, k:])]
    r2 = -np.expm1((logs[0] - logs[1] - logs[2]) / min(k, len(b)))
    return float(np.sqrt(max(r2, 0.0))), int(np.sign(S[0, k]))
