"""Learn the conditionals of a table with holes, while its holes are drawn again and again."""

import warnings
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float
from sklearn import config_context

from sm_estimators.conditionals.chain import Chain, holes_by_column, start_tables
from sm_estimators.conditionals.column_law import ColumnLaw
from sm_estimators.conditionals.completions import Completions
from sm_estimators.conditionals.coordinates import blocks_of, learn_coordinates
from sm_estimators.conditionals.forest import Forest, grow_tree, joined
from sm_estimators.conditionals.held_out_ridge import held_out_ridge
from sm_estimators.conditionals.linear_law import LinearLaw
from sm_estimators.conditionals.out_of_fold import OutOfFold
from sm_estimators.conditionals.sequence_fit import fit_sequence
from sm_estimators.conditionals.shares import draw_shares, mean_shares
from sm_estimators.conditionals.widened import widened
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.missing.gaussian_em import gaussian_em

N_HELD_OUT = 8
"""Draws kept of every seen cell by trees that have not seen its row,"""
NONE = -1
"""and what stands for none."""
ALONE = np.array([1.0, 0.0])
FEWEST = 20
"""Seen values of a column with which trees are grown."""


@dataclass(frozen=True)
class ChainSettings:
    """How much work a fit does."""

    n_tables: int = 20
    """Completed tables that trees learn from, each from one of them."""
    n_sweeps: int = 8
    """Times that every column is learned and its holes are drawn."""
    n_trees: int = 20
    """Trees of a column in a sweep."""
    n_kept: int = 5
    """Sweeps whose trees are kept, the last ones."""
    n_leaves: int = 2500
    """Leaves aimed at: a tree of k times as many rows has k in a leaf at least."""
    held_out: float = 0.1
    """Share of the rows that a tree does not see."""
    max_rows: int = 5000
    """Rows that a tree sees at most."""
    max_features: int = 24
    """Coordinates among which a tree looks for a split at most."""
    ridge: float | None = None
    """Of the Gaussian; None for one that rows held out choose."""
    trees: bool = True
    """False: the Gaussian alone."""
    sequence: bool = True
    """Whether whole rows can be drawn and scored afterwards."""


def fit_chain(
    rng: np.random.Generator,
    values: Float[np.ndarray, "n d"],
    observed: Bool[np.ndarray, "n d"],
    nominal: Bool[np.ndarray, " d"],
    *,
    weight: Float[np.ndarray, " n"] | None = None,
    settings: ChainSettings | None = None,
) -> Chain:
    """Learn the law of every column given all others from a table with holes.

    Valid when values are missing at random: a law is learned from the rows in which its column
    was seen, given everything else in them.

    Parameters
    ----------
    rng : Generator
        Of every random choice.
    values : ndarray of shape (n, d)
        Numbers, and codes of levels; values in holes are ignored.
    observed : ndarray of shape (n, d)
        True where a value was seen; some value in every column.
    nominal : ndarray of shape (d,)
        Which columns are codes without an order.
    weight : ndarray of shape (n,), optional
        Positive weights of the rows.
    settings : ChainSettings, optional
        How much work is done.

    Returns
    -------
    Chain
        What completes rows, of this table or of others.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(200, 1)) * [1.0, 2.0]
    >>> observed = np.ones(X.shape, bool)
    >>> observed[::2, 1] = False
    >>> chain = fit_chain(np.random.default_rng(0), X, observed, np.zeros(2, bool))
    >>> means = chain.means(np.random.default_rng(0), X, observed)
    >>> bool(np.corrcoef(means[::2].T)[0, 1] > 0.99)
    True
    """
    settings = settings or ChainSettings()
    w: np.ndarray = np.ones(len(values)) if weight is None else weight / weight.mean()
    coordinates = learn_coordinates(values, observed, nominal, w)
    wide, seen = widened(coordinates, values, observed)
    ridge, out_of_fold = settings.ridge, None
    if ridge is None:
        ridge, fold, moments = held_out_ridge(rng, wide, seen, w)
        if fold is not None:
            out_of_fold = OutOfFold.of(coordinates, fold, moments)
    em = gaussian_em(wide, seen, weights=w, ridge=ridge, tol=1e-4, max_iter=200)
    start = GaussianConditional(em.location, em.covariance)
    laws = [
        ColumnLaw(LinearLaw.of(c, block, em.location, start.precision), block, None, ALONE, ALONE)
        for c, block in zip(coordinates, blocks_of(coordinates), strict=True)
    ]
    tables = start_tables(rng, coordinates, start, values, observed, settings.n_tables)
    sequence = None
    quick = config_context(assume_finite=True, skip_parameter_validation=True)
    with quick, warnings.catch_warnings():
        # Trees that classify many rare levels are meant to.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        if settings.trees:
            learner = Learner(rng, tables, observed, w, settings, laws, out_of_fold)
            laws = learner.learn()
        if settings.sequence:
            sequence = fit_sequence(rng, tables, observed, w)
    return Chain(coordinates, start, laws, settings.n_sweeps, sequence)


class Learner:
    """The laws of all columns while they are learned."""

    def __init__(
        self,
        rng: np.random.Generator,
        tables: Completions,
        observed: np.ndarray,
        weight: np.ndarray,
        settings: ChainSettings,
        laws: list[ColumnLaw],
        out_of_fold: OutOfFold | None,
    ):
        self.rng, self.tables, self.observed, self.weight = rng, tables, observed, weight
        self.settings, self.laws, self.out_of_fold = settings, laws, out_of_fold
        self.kept: list[list[Forest]] = [[] for _ in laws]
        self.shares: list[list[np.ndarray]] = [[] for _ in laws]
        self.held_out = np.full((len(laws), N_HELD_OUT, len(weight)), NONE, np.int32)

    def learn(self) -> list[ColumnLaw]:
        """Sweep over the columns, and return their laws."""
        for sweep in range(self.settings.n_sweeps):
            keeps = sweep >= self.settings.n_sweeps - self.settings.n_kept
            for j, rows in holes_by_column(self.observed):
                self._learn_column(j, keeps=keeps)
                self.tables.redraw(self.rng, self.laws[j], j, rows)
        for j in np.flatnonzero(self.observed.all(axis=0)):
            for _ in range(self.settings.n_kept):
                self._learn_column(int(j), keeps=True)
        return [
            replace(law, forest=joined(kept) if kept else None)
            for law, kept in zip(self.laws, self.kept, strict=True)
        ]

    def _learn_column(self, j: int, *, keeps: bool) -> None:
        """Grow trees for a column and weigh them against its linear law.

        They are given linear predictions by laws that have not seen the row, as at holes. Tables
        of more rows than decide the ridge are learned without; there a row hardly counts.
        """
        rows = np.flatnonzero(self.observed[:, j])
        if len(rows) < FEWEST or len(self.laws[j].coordinates.values) == 1:
            return
        predict = self.out_of_fold and partial(self.out_of_fold.predict, j, rows)
        with self.tables.hidden(self.laws[j], rows, predict) as hidden:
            forest = self._grow(j, rows)
        if keeps:
            self.kept[j].append(forest)
        self.laws[j] = replace(self.laws[j], forest=forest)
        self._weigh(j, rows, hidden.z.reshape(self.settings.n_tables, len(rows), -1))

    def _grow(self, j: int, rows: np.ndarray) -> Forest:
        """Return trees, each of one completed table, and keep their draws of rows held out."""
        s, inputs, values = self.settings, self.tables.ranked, self.tables.values[0, rows, j]
        coordinates = self.laws[j].coordinates
        response, place = coordinates.response(values), np.searchsorted(coordinates.values, values)
        max_features = min(1.0, s.max_features / inputs.shape[-1])
        n_used = min(len(rows) - max(1, round(s.held_out * len(rows))), s.max_rows)
        trees = []
        for t in range(s.n_trees):
            order = self.rng.permutation(len(rows))
            used, rest = order[:n_used], order[n_used : 2 * n_used]
            X = inputs[t % s.n_tables]
            tree = grow_tree(
                self.rng,
                X[rows[used]],
                response[used],
                place[used],
                self.weight[rows[used]],
                min_leaf=max(1, n_used // s.n_leaves),
                max_features=max_features,
            )
            drawn = tree.draw(self.rng, X, rows[rest], np.zeros(len(rest), np.int64))
            self._keep_held_out(j, rows[rest], drawn)
            trees.append(tree)
        return joined(trees)

    def _keep_held_out(self, j: int, rows: np.ndarray, drawn: np.ndarray) -> None:
        """Put drawn places of values where the oldest ones of the same cells are."""
        kept = self.held_out[j]
        kept[1:, rows] = kept[:-1, rows]
        kept[0, rows] = drawn

    def _weigh(self, j: int, rows: np.ndarray, z: np.ndarray) -> None:
        """Find the shares of the experts in the law of a column.

        They are averaged over the sweeps so far: in short tables few rows decide them.
        """
        law, y = self.laws[j], self.tables.values[0, rows, j]
        place = self.held_out[j][:, rows]
        by_trees = np.where(place == NONE, np.nan, law.coordinates.values[place])
        known = place[1] != NONE  # two draws at least
        if known.sum() < FEWEST // 2:
            return
        tables = np.resize(np.arange(len(z)), N_HELD_OUT)
        linear = np.stack([law.linear.draw(self.rng, z[t][known]) for t in tables])
        draws, weight = np.stack([linear, by_trees[:, known]]), self.weight[rows[known]]
        nominal = law.coordinates.nominal
        shares = draw_shares(draws, y[known], weight, nominal=nominal)
        means = shares if nominal else mean_shares(draws, y[known], weight)
        self.shares[j].append(np.stack([shares, means]))
        shares, means = np.mean(self.shares[j], axis=0)
        self.laws[j] = replace(law, draw_shares=shares, mean_shares=means)
