"""Which rule is valid under which mechanism, and which one is chosen by default."""

from typing import Literal, get_args

from sm_estimators.densities import AbstractDensity, AbstractMarginalDensity, Gaussian
from sm_estimators.missing._base import AbstractMissing
from sm_estimators.missing.complete_case import CompleteCase
from sm_estimators.missing.exact import Exact
from sm_estimators.missing.importance import Importance
from sm_estimators.missing.imputation import Imputation
from sm_estimators.missing.persistent_chains import PersistentChains
from sm_estimators.missing.variational import Variational
from sm_estimators.missing.zeroed import Zeroed

Mechanism = Literal["mcar", "mar"]
RULES: dict[str, type[AbstractMissing]] = {
    "complete_case": CompleteCase,
    "importance": Importance,
    "imputation": Imputation,
    "exact": Exact,
    "variational": Variational,
    "persistent_chains": PersistentChains,
    "zeroed": Zeroed,
}


def rule_name(rule: AbstractMissing) -> str:
    """Return the short name of a rule, or the name of its class."""
    names = {kind: name for name, kind in RULES.items()}
    return names.get(type(rule), type(rule).__name__)


def resolve_rule(
    missing: str | AbstractMissing, *, mechanism: str, density: AbstractDensity
) -> AbstractMissing:
    """Return the rule, chosen when ``missing="auto"``, refused when invalid.

    Gaussians are fitted by EM, mixtures by their exact marginals, everything else by importance
    weighting; under MAR always by imputation, the only rule here that is consistent without a
    model of the mechanism. Baselines without any validity are let through: who asks for them by
    name knows.
    """
    if mechanism not in get_args(Mechanism):
        raise ValueError(
            f"`mechanism` must be 'mcar', 'mar', InversePropensity(), PropensityTilt() or "
            f"NotAtRandom(log_propensity); got {mechanism!r}."
        )
    if isinstance(missing, str):
        rule = RULES[missing]() if missing in RULES else default_rule(missing, mechanism, density)
    else:
        rule = missing
    valid = [name for name, kind in RULES.items() if mechanism in kind.valid_under]
    if rule.valid_under and mechanism not in rule.valid_under:
        raise ValueError(
            f"`missing={rule_name(rule)!r}` is biased when `mechanism={mechanism!r}`: it ignores "
            "that the chance of being seen depends on the seen values. Valid: "
            f"{', '.join(map(repr, valid))} (or 'auto'), or a model of that chance: "
            "`mechanism=InversePropensity()`."
        )
    return rule


def default_rule(missing: str, mechanism: str, density: AbstractDensity) -> AbstractMissing:
    """Return what ``missing="auto"`` means for this mechanism and density."""
    if missing != "auto":
        raise ValueError(
            f"`missing` must be 'auto', {', '.join(map(repr, RULES))} or a rule such as "
            f"Importance(n_draws=50); got {missing!r}."
        )
    if mechanism == "mar" or isinstance(density, Gaussian):
        return Imputation()
    return Exact() if isinstance(density, AbstractMarginalDensity) else Importance()
