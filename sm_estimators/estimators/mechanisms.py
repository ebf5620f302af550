"""Why values are missing: what a fit does about it beyond the names "mcar" and "mar"."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np


@dataclass(frozen=True)
class AbstractMechanism(ABC):
    """A correction for a mechanism: of the table, or of the rule."""

    of: ClassVar[str]
    """The mechanism the rule itself must be valid under, once corrected."""

    def corrected_table(self, table: Any, columns: np.ndarray) -> Any:
        """Return the table with other weights or with a tilt; ``columns`` are the names."""
        del columns
        return table

    def corrected_rule(self, rule: Any, objective: Any) -> Any:
        """Return the rule that knows the mechanism; `ValueError` where it cannot."""
        del objective
        return rule

    @abstractmethod
    def describe(self) -> str:
        """Return the word that ``mechanism_`` holds."""


@dataclass(frozen=True)
class AbstractPropensity(AbstractMechanism):
    """A correction by the chance of each pattern given the columns that are always seen."""

    of = "mcar"

    classifier: Any = None
    predictors: Any = None
    min_rows: Any = None

    def fitted(self, table: Any, columns: np.ndarray):
        """Return the propensities of the patterns, fitted to the table."""
        from sm_estimators.missingness import PatternPropensity

        predictors = self.predictors
        if predictors is not None:
            names = list(predictors) if np.ndim(predictors) else [predictors]
            predictors = [position(columns, name) for name in names]
        model = PatternPropensity(self.classifier, predictors, min_rows=self.min_rows)
        return model.fit(table.X, table.observed, sample_weight=table.weight)


@dataclass(frozen=True)
class InversePropensity(AbstractPropensity):
    r"""Values are missing at random (MAR): weight every row by the inverse of its propensity.

    The density of what was seen in pattern Λ is p_Λ(x) φ_Λ(x), φ the chance of the pattern given
    what was seen. Row weights π̄_Λ / φ_Λ, π̄ the share of the pattern, give p_Λ back, so that every
    rule that is consistent under MCAR is so again (Robins, Rotnitzky and Zhao 1994). The chances
    are those of a classifier that reads the columns that are always seen: the correction is as
    good as that model. Weights are not clipped, which would bring bias back.

    Parameters
    ----------
    classifier : scikit-learn classifier with ``predict_proba``, optional
        Default: a logistic regression.
    predictors : list of column names or positions, optional
        Columns that decide about the holes; they must be seen in every row. Default: all such.
    min_rows : int, optional
        Patterns with fewer rows are rare: their chance is a product over the columns. Default: ten
        rows per predictor, at least 20.

    Examples
    --------
    >>> import numpy as np
    >>> from sm_estimators import GaussianScoreMatching, InversePropensity
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 1)) + rng.normal(size=(500, 2))
    >>> X[rng.random(500) < 1 / (1 + np.exp(-X[:, 0])), 1] = np.nan  # column 0 decides
    >>> estimator = GaussianScoreMatching(missing="exact", mechanism=InversePropensity())
    >>> estimator.fit(X).mechanism_
    'mar, inverse propensity'
    """

    def corrected_table(self, table: Any, columns: np.ndarray) -> Any:
        """Return the table with its weights multiplied."""
        weights = self.fitted(table, columns).weights(table.X, table.observed)
        return table._replace(weight=table.weight * weights)

    def describe(self) -> str:
        """Return the word that ``mechanism_`` holds."""
        return "mar, inverse propensity"


@dataclass(frozen=True)
class PropensityTilt(AbstractPropensity):
    """Values are missing at random (MAR): add the gradient of the log-propensity to the score.

    The density of what was seen in pattern Λ is p_Λ(x) φ_Λ(x), so its score is that of the model
    plus ∇log φ_Λ, which does not depend on the parameters. Every row counts the same, so the
    estimate varies less than with :class:`InversePropensity`; the classifier must be smooth, and
    explicit, sliced and weighted losses only are possible.

    Parameters
    ----------
    classifier : scikit-learn classifier with ``predict_proba``, optional
        Default: a logistic regression. Its probabilities must be differentiable: no trees.
    predictors : list of column names or positions, optional
        As for :class:`InversePropensity`.
    min_rows : int, optional
        As for :class:`InversePropensity`.

    Examples
    --------
    >>> from sm_estimators import PropensityTilt
    >>> PropensityTilt().describe()
    'mar, propensity tilt'
    """

    def corrected_table(self, table: Any, columns: np.ndarray) -> Any:
        """Return the table with the gradients of the log-propensity."""
        return table._replace(tilt=self.fitted(table, columns).gradient(table.X, table.observed))

    def corrected_rule(self, rule: Any, objective: Any) -> Any:
        """Return the rule, refused where it completes rows or the loss leaves them."""
        from sm_estimators.missing import rule_name
        from sm_estimators.objectives import Denoising

        if rule.fills_in:
            raise ValueError(
                f"`missing={rule_name(rule)!r}` fits completed rows, to whose score no propensity "
                "can be added; it is valid under `mechanism='mar'` as it is."
            )
        if isinstance(objective, Denoising):
            raise ValueError(
                "`mechanism=PropensityTilt()` knows the propensity at the rows only, and a "
                "denoising loss leaves them. Use objective='explicit', or InversePropensity()."
            )
        return rule

    def describe(self) -> str:
        """Return the word that ``mechanism_`` holds."""
        return "mar, propensity tilt"


@dataclass(frozen=True)
class NotAtRandom(AbstractMechanism):
    """Values are missing for what they are (MNAR), in a way that is known.

    log φ(observed | x) is added to the log-density of every completed row, so that the holes are
    integrated out (or filled in) given that they were not seen (Givens, Liu and Reeve 2025). No
    table can tell whether φ is right. ``impute`` draws given the pattern too;
    ``sample`` and ``score_samples`` are about the density of whole rows.

    Parameters
    ----------
    log_propensity : callable
        JAX function ``(observed, x) -> log φ``, a scalar, of the flags (d,) and a whole row (d,)
        in the units of the table; up to a constant in x.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> def large_values_hide(observed, x):
    ...     return jnp.sum(jnp.where(observed, jax.nn.log_sigmoid(-x), jax.nn.log_sigmoid(x)))
    >>> NotAtRandom(large_values_hide).describe()
    'mnar'
    """

    of = "mcar"

    log_propensity: Callable[..., Any] = None  # type: ignore[assignment]

    def __post_init__(self):
        if not callable(self.log_propensity):
            raise TypeError(
                "`log_propensity` must be a JAX function (observed, x) -> log φ; got "
                f"{self.log_propensity!r}."
            )

    def corrected_rule(self, rule: Any, objective: Any) -> Any:
        """Return the rule with the mechanism, refused where it has no draws to weigh."""
        from sm_estimators.missing import rule_name
        from sm_estimators.missing.proposed import AbstractProposed

        del objective
        weighted = isinstance(rule, AbstractProposed) and not rule.proposal.drawn_from_model
        if not weighted or not getattr(rule, "self_normalised", True):
            raise ValueError(
                f"`missing={rule_name(rule)!r}` cannot weigh completed rows by the chance of their "
                "pattern. Use 'importance', 'variational' or 'imputation'."
            )
        return replace(rule, log_propensity=self.log_propensity)

    def describe(self) -> str:
        """Return the word that ``mechanism_`` holds."""
        return "mnar"


def position(columns: np.ndarray, name: Any) -> int:
    """Return the position of a column given by name or position."""
    matches = np.flatnonzero(columns == name)
    if len(matches) == 1:
        return int(matches[0])
    if isinstance(name, (int, np.integer)) and 0 <= name < len(columns):
        return int(name)
    raise ValueError(
        f"`predictors` must name columns of `X`; {name!r} is none of {columns.tolist()}. Use a "
        "name or a position."
    )
