"""What a noise-conditional model does about holes in training.

``hiding``: holes are absent columns. Seen values are hidden at random and asked for given the
rest, and the network is told which is which: it learns the conditionals of every pattern.
Consistent when the holes are there completely at random. ``imputation``: an EM. Holes are drawn
from the model's own conditionals, and training goes on on the completed table; consistent when
the chance of a hole depends on seen values only. ``complete_case``: rows with holes are dropped.
``zeroed``, a baseline: holes hold the column's mean, the network takes them for seen, and their
part of the loss is left out (masked residuals, as in MissDiff: Ouyang, Xie and Cheng 2023); biased.
"""

from collections.abc import Mapping
from types import MappingProxyType

HOLE_RULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "hiding": ("mcar",),
        "imputation": ("mcar", "mar"),
        "complete_case": ("mcar",),
        "zeroed": (),
    }
)
"""Names, and the mechanisms under which each is consistent."""


def resolve_hole_rule(missing: str, mechanism: str) -> str:
    """Return the rule for holes: chosen when "auto", refused where it is biased.

    Parameters
    ----------
    missing : str
        A name, or "auto": hiding under "mcar" and imputation under "mar".
    mechanism : {"mcar", "mar"}
        What is assumed of the holes.

    Raises
    ------
    ValueError
        For other words, and for a rule that is biased under the mechanism.

    Examples
    --------
    >>> resolve_hole_rule("auto", "mar")
    'imputation'
    """
    if mechanism not in ("mcar", "mar"):
        raise ValueError(
            f"`mechanism` must be 'mcar' or 'mar' for a noise-conditional model; got {mechanism!r}."
        )
    if missing == "auto":
        return "hiding" if mechanism == "mcar" else "imputation"
    if missing not in HOLE_RULES:
        names = ", ".join(map(repr, HOLE_RULES))
        raise ValueError(f"`missing` must be 'auto' or one of {names}; got {missing!r}.")
    valid = HOLE_RULES[missing]
    if valid and mechanism not in valid:
        raise ValueError(
            f"`missing={missing!r}` is biased when `mechanism={mechanism!r}`: it ignores that the "
            "chance of being seen depends on the seen values. Use 'imputation' (or 'auto')."
        )
    return missing
