"""Learn the laws of all columns, each given those before it, from completed tables."""

from dataclasses import replace

import numpy as np

from sm_estimators.conditionals.completions import Completions
from sm_estimators.conditionals.factor import Factor
from sm_estimators.conditionals.forest import grow_tree, joined
from sm_estimators.conditionals.leaf_values import LeafValues
from sm_estimators.conditionals.line import Line
from sm_estimators.conditionals.linear_law import LinearLaw
from sm_estimators.conditionals.points import Points
from sm_estimators.conditionals.sequence import Sequence

N_TREES = 30
N_MARGINAL = 6
MIN_LEAF = 5
BAG = 0.632
MAX_ROWS = 3000
MAX_SCORED = 2000
MAX_FEATURES = 24
FEWEST = 20
MARGINAL_ROWS = 300
MANY = 50
LEAST_SHARE = 0.02
RIDGE = 1e-3
POOLED = True
ORDER = "holes"


def fit_sequence(rng, tables: Completions, observed, weight, location, covariance):
    if POOLED:
        flat = tables.linear.reshape(-1, tables.linear.shape[-1]).astype(float)
        w = np.tile(weight, len(tables.linear)); w = w / w.sum()
        location = w @ flat
        c = (flat - location) * np.sqrt(w)[:, None]
        covariance = c.T @ c
        covariance += np.diag(RIDGE * np.maximum(np.diag(covariance), 1e-9))
    n = observed.shape[0]
    order = column_order(tables, observed)
    done = np.zeros(tables.linear.shape[-1], bool)
    factors = []
    for j in order:
        factors.append(fit_factor(rng, tables, j, done.copy(), observed, weight, location, covariance))
        done[tables.blocks[j]] = True
    return Sequence(tables.coordinates, factors)


def column_order(tables, observed):
    holes = (~observed).sum(axis=0)
    if ORDER == "holes":
        return np.argsort(holes, kind="stable")
    k = np.array([len(c.values) for c in tables.coordinates])
    if ORDER == "few":
        return np.lexsort((k, holes))
    return np.lexsort((-k, holes))


def law_given(tables, j, done, location, covariance, n):
    block, column = tables.blocks[j], tables.coordinates[j]
    own = np.zeros(len(done), bool); own[block] = True
    idx = np.flatnonzero(done | own)
    sub = np.flatnonzero(own[idx])
    law = LinearLaw.of(column, slice(sub[0], sub[-1] + 1) if len(sub) else slice(0, 0), location[idx], np.linalg.inv(covariance[np.ix_(idx, idx)]))
    slopes = np.zeros((len(done), column.width)); slopes[idx] = law.slopes
    lev = leverage(done, n)
    return LinearLaw(column, law.intercept, slopes, law.deviation / np.sqrt(1 - lev)), lev


def leverage(done, n):
    return min(done.sum() / n, 0.5)


def fit_factor(rng, tables, j, done, observed, weight, location, covariance):
    rows = np.flatnonzero(observed[:, j])
    n, m = len(rows), len(tables.values)
    column, block = tables.coordinates[j], tables.blocks[j]
    law, lev = law_given(tables, j, done, location, covariance, n)
    linear, ranked = tables.linear[:, rows], tables.ranked[:, rows]
    z = law.predict(linear.reshape(-1, linear.shape[-1])).reshape(m, n, -1)
    ranked[:, :, block] = column.ranked_prediction(z.reshape(m * n, -1)).reshape(m, n, -1)
    y, w = tables.values[0, rows, j], weight[rows]
    counts = np.unique(y, return_counts=True)[1]
    few = len(counts) <= MANY and (counts == 1).sum() <= max(2, 0.02 * n)
    features = np.flatnonzero(done) if done.any() and n >= FEWEST else np.array([], int)
    own = np.arange(block.start, block.stop)
    leaf_values, counted = grow(rng, law, z, ranked, y, w, np.concatenate([features, own]) if len(features) else features)
    prediction = np.zeros((m, n)) if column.nominal else column.predicted(z.reshape(m*n, -1)).reshape(m, n)
    if column.nominal or few or len(counts) < 3:
        support = Points.of(y, w)
    else:
        support = Line.of(y, w, (y - prediction[0])/(1-lev))
    # held-out
    scored = rng.permutation(n)[:MAX_SCORED]
    scored = scored[counted[scored].any(axis=1)]
    parts = np.empty((support.n_parts, len(scored)))
    away = z - lev * (column.linear(y) - z) / (1 - lev)
    for begin in range(0, len(scored), 500):
        s = scored[begin:begin+500]
        X = ranked[0, s]
        X[:, block] = column.ranked_prediction(away[0, s])
        met = held_out(leaf_values, X, counted[s])
        parts[:, begin:begin+500] = support.parts(y[s], law, away[0, s], met)
    shares, kept = mixture_shares(parts, w[scored])
    full_support = support
    if isinstance(support, Line):
        support = support.only(kept)
    else:
        full = np.zeros(3); full[kept] = shares; shares = full
    f = Factor(int(j), block, law, leaf_values, support, shares)
    object.__setattr__(f, "oob", float(np.average(np.log(shares @ (parts[kept] if isinstance(support, Line) else parts)), weights=w[scored])))
    object.__setattr__(f, "dbg", (parts, w[scored], full_support))
    return f


def held_out(leaf_values, X, counted):
    return leaf_values.met(X, counted)


def grow(rng, law, z, ranked, y, w, features):
    m, n = z.shape[:2]
    column = law.coordinates
    place = np.searchsorted(column.values, y)
    response = column.response(y)
    n_trees = N_TREES if len(features) else N_MARGINAL
    n_used = max(min(round(BAG * n), MAX_ROWS if len(features) else MARGINAL_ROWS), 1)
    trees, predictions, counted = [], [], np.ones((n, n_trees), bool)
    for t in range(n_trees):
        used = rng.permutation(n)[:n_used]
        counted[used, t] = False
        X = ranked[t % m][np.ix_(used, features)] if len(features) else np.zeros((n_used, 1), np.float32)
        tree = grow_tree(rng, X, response[used], used.astype(np.float64), w[used], min_leaf=MIN_LEAF,
                         max_features=min(1.0, MAX_FEATURES / max(len(features), 1)))
        cells = tree.values.astype(int)
        predictions.append(np.zeros(len(cells)) if column.nominal else column.predicted(z[t % m, cells]))
        feature = tree.feature.copy()
        if len(features):
            feature[feature >= 0] = features[feature[feature >= 0]]
        trees.append(replace(tree, values=place[cells].astype(np.float32), feature=feature))
    return LeafValues(joined(trees), np.concatenate(predictions)), counted


def mixture_shares(parts, weight):
    kept = np.arange(len(parts))
    shares = em(parts, weight)
    kept = np.flatnonzero((shares >= LEAST_SHARE) | (kept == len(parts) - 1))
    return em(parts[kept], weight), kept


def em(parts, weight):
    c = len(parts)
    shares = np.full(c, 1 / c)
    w = weight * len(weight) / weight.sum() if len(weight) else weight
    for _ in range(300):
        joint = shares[:, None] * parts
        resp = joint / np.maximum(joint.sum(axis=0), 1e-300)
        new = (resp @ w + 1 / c) / (len(w) + 1)
        if np.abs(new - shares).max() < 1e-5:
            break
        shares = new
    return shares
