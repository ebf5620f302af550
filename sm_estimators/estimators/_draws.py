"""Samples and completions of a fitted density, exact where possible, by chains elsewhere."""

from typing import Any, NamedTuple

import jax
import numpy as np

from sm_estimators._patterns import sort_by_pattern
from sm_estimators._typing import Params
from sm_estimators.densities import AbstractDensity, AbstractMarginalDensity
from sm_estimators.densities.gaussian_conditional import GaussianConditional
from sm_estimators.estimators._shorthand import resolve_sampler
from sm_estimators.missing.selection import LogPropensity, SelectedDensity
from sm_estimators.samplers import draw, draw_conditional

INFLATION = 1.5
"""Chains start from conditionals wider than the draws should be, so that R-hat can tell."""


class Fitted(NamedTuple):
    """A fitted density with the moments of its table and some completed rows."""

    density: AbstractDensity
    params: Params
    moments: tuple[np.ndarray, np.ndarray]
    starts: np.ndarray
    selection: Any = None
    """log φ(observed | x) of a mechanism that completions must heed."""

    def units(self) -> tuple[np.ndarray, np.ndarray]:
        """Return centre and scale of the columns."""
        return self.moments[0], np.sqrt(np.diag(self.moments[1]))

    def standardised(self) -> "Fitted":
        """Return the density of the standardised columns, where float32 loses no digits."""
        centre, scale = self.units()
        params = self.density.rescale(self.params, -centre / scale, 1 / scale)
        moments = np.zeros_like(centre), self.moments[1] / np.outer(scale, scale)
        return self._replace(params=params, moments=moments, starts=(self.starts - centre) / scale)


def is_exact(density: AbstractDensity, sampler: Any) -> bool:
    """Return whether draws need no chain; asking for exact draws in vain is an error."""
    possible = isinstance(density, AbstractMarginalDensity)
    if sampler == "exact" and not possible:
        raise ValueError(
            f"`sampler='exact'` needs a density that draws by itself (Gaussian or "
            f"GaussianMixture); got {type(density).__name__}. Use 'mala' or 'nuts'."
        )
    return possible and sampler in ("auto", "exact")


def check_sampler(density: AbstractDensity, sampler: Any) -> None:
    """Raise `ValueError` for a sampler that could not draw from the density."""
    if not is_exact(density, sampler):
        resolve_sampler(sampler)


def sample(fitted: Fitted, sampler: Any, n_samples: int, seed: int):
    """Return ``(n_samples, d)`` draws and their diagnostics."""
    rng = np.random.default_rng(seed)
    if is_exact(fitted.density, sampler):
        return fitted.density.sample(fitted.params, rng, n_samples), {"exact": True}  # type: ignore[attr-defined]
    if fitted.density.standardised:
        centre, scale = fitted.units()
        Z, diagnostics = chain_sample(fitted.standardised(), sampler, n_samples, seed)
        return centre + scale * Z, diagnostics
    return chain_sample(fitted, sampler, n_samples, seed)


def chain_sample(fitted: Fitted, sampler: Any, n_samples: int, seed: int):
    """Return draws of chains started at rows of the table."""
    draws, diagnostics = draw(
        jax.random.key(seed),
        resolve_sampler(sampler),
        density=fitted.density,
        params=fitted.params,
        starts=fitted.starts,
        scale=np.linalg.cholesky(fitted.moments[1]),
        n_samples=n_samples,
    )
    return draws, diagnostics._asdict()


def complete(fitted: Fitted, sampler: Any, X, observed, *, n_imputations: int, seed: int):
    """Return ``(m, n, d)`` completed tables and the diagnostics; seen cells keep their bits."""
    rng = np.random.default_rng(seed)
    if fitted.selection is not None and not observed.all():
        return selected_complete(fitted, sampler, X, observed, n_imputations, rng)
    if is_exact(fitted.density, sampler):
        draws = [
            fitted.density.sample_conditional(fitted.params, rng, X, observed)  # type: ignore[attr-defined]
            for _ in range(n_imputations)
        ]
        return np.where(observed, X, np.stack(draws)), {"exact": True}
    if not fitted.density.standardised:
        return chain_complete(fitted, sampler, X, observed, n_imputations, rng)
    centre, scale = fitted.units()
    Z, diagnostics = chain_complete(
        fitted.standardised(), sampler, (X - centre) / scale, observed, n_imputations, rng
    )
    return np.where(observed, X, centre + scale * Z), diagnostics


def selected_complete(fitted: Fitted, sampler: Any, X, observed, n_imputations: int, rng):
    """Return tables completed given the rows and their patterns, and the worst diagnostics."""
    centre, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
    if fitted.density.standardised:
        centre, scale = fitted.units()
        fitted = fitted.standardised()
    log_propensity = LogPropensity(fitted.selection).in_units(centre, scale)
    sampler = "auto" if sampler == "exact" else sampler
    tables = np.repeat(X[None], n_imputations, axis=0)
    worst: dict[str, Any] = {}
    order, starts = sort_by_pattern(observed)
    for rows in np.split(order, starts[1:-1]):
        seen = observed[rows]
        if seen.all():
            continue
        density = SelectedDensity(fitted.density, log_propensity, seen[0])
        one = fitted._replace(density=density)
        Z = (X[rows] - centre) / scale
        drawn, found = chain_complete(one, sampler, Z, seen, n_imputations, rng)
        tables[:, rows] = np.where(seen, X[rows], centre + scale * drawn)
        if not worst or found["r_hat"] > worst["r_hat"]:
            worst = found
    return tables, worst


def chain_complete(fitted: Fitted, sampler: Any, X, observed, n_imputations: int, rng):
    """Return completed tables, every row with chains of its own."""
    conditional = GaussianConditional(*fitted.moments)
    support = fitted.density.support
    bounds = None if support is None else support.bounds(X.shape[1])
    # One chain alone cannot be judged: R-hat compares its two halves with those of others.
    n_chains = max(n_imputations, 4)
    starts = [conditional.draw(rng, X, observed, INFLATION, bounds) for _ in range(n_chains)]
    draws, diagnostics = draw_conditional(
        jax.random.key(rng.integers(2**31)),
        resolve_sampler(sampler),
        density=fitted.density,
        params=fitted.params,
        starts=np.stack(starts),
        observed=observed,
        scale=lambda rows: conditional.factors(observed[rows]),
    )
    return np.where(observed, X, draws[:n_imputations]), diagnostics._asdict()
