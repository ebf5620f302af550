"""
Why a hole is there decides what may be done about it
=====================================================

Two tables with the same number of holes. In one they are there *completely at random* (MCAR). In
the other the LDL cholesterol of a patient is the likelier to be missing the lower the total
cholesterol is (*missing at random*, MAR), as when a second measurement is only ordered after a
striking first one. ``ampute`` makes both kinds from a complete table, so the truth is known.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from sm_estimators import GaussianScoreMatching
from sm_estimators.missingness import ampute

X = load_diabetes(as_frame=True).data[["s1", "s2", "bmi"]].to_numpy()
X = (X - X.mean(axis=0)) / X.std(axis=0)


def make_holes(mechanism, seed):
    """Lose half of the second and third column; the first is always seen."""
    steepness = -3.0 if mechanism == "mar" else 0.0  # at 0 the first column decides nothing
    return ampute(X, "mar", 0.5, drivers=0, steepness=steepness, random_state=seed)


# %%
# Under MAR the estimator refuses rules that ignore the mechanism
# ----------------------------------------------------------------
# Dropping incomplete rows, and marginal score matching (``"exact"`` and ``"importance"``), take
# the seen part of a pattern for a fair sample of its marginal. Under MAR it is not.
#
# A model of the chance to be seen would make them valid: ``mechanism=InversePropensity()`` weights
# the rows, ``PropensityTilt()`` corrects the score (:doc:`/missing_data`). Here that chance falls
# so steeply that few rows would stand for many, and imputation needs no such model.

holes = make_holes("mar", 0)
for rule in ["complete_case", "exact", "imputation"]:
    try:
        GaussianScoreMatching(missing=rule, mechanism="mar").fit(holes.X)
        print(f"{rule}: valid")
    except ValueError as error:
        print(f"{rule}: {error}")

# %%
# What would go wrong
# -------------------
# We tell the estimator that the holes are MCAR, true or not, and repeat with 20 sets of holes.
# The estimate is the mean of the LDL cholesterol, zero in the complete table. Every rule
# is right in the middle panel. On the right only imputation is: it needs that a missing value,
# given what was seen of its row, follows the same law as a seen one, and nothing else.

rules = {"complete_case": "complete rows", "exact": "marginals", "imputation": "imputation"}


def estimated_mean(rule, X_holes):
    """Return the estimated mean of the second column."""
    return GaussianScoreMatching(missing=rule, tol=1e-4).fit(X_holes).location_[1]


estimates = {
    mechanism: np.array(
        [[estimated_mean(r, make_holes(mechanism, i).X) for r in rules] for i in range(20)]
    )
    for mechanism in ["mcar", "mar"]
}

print(estimates["mar"].mean(axis=0).round(2))

rng = np.random.default_rng(0)
figure, panels = plt.subplots(
    1, 3, figsize=(11, 3.6), layout="constrained", width_ratios=(1, 1.1, 1.1)
)
seen = holes.observed[:, 1]
panels[0].scatter(*X[seen, :2].T, s=9, color="#7f9db9", linewidths=0, label="seen")
panels[0].scatter(*X[~seen, :2].T, s=9, color="#d55e00", linewidths=0, label="lost")
panels[0].set(xlabel="total cholesterol, always seen", ylabel="LDL cholesterol")
panels[0].set_title("MAR: lost where the first is low", loc="left", fontsize=11)
panels[0].legend(frameon=False, markerscale=2)
for axes, (mechanism, values) in zip(panels[1:], estimates.items(), strict=True):
    axes.axhline(0, color="#3a3f45", linewidth=1)
    for j in range(len(rules)):
        wrong = mechanism == "mar" and list(rules)[j] != "imputation"
        x = j + rng.uniform(-0.12, 0.12, len(values))
        axes.scatter(x, values[:, j], s=16, color="#d55e00" if wrong else "#7f9db9", linewidths=0)
    axes.set_xticks(range(len(rules)), list(rules.values()))
    axes.set(ylim=(-0.9, 1.1), xlim=(-0.5, 2.5))
    axes.set_title(f"{mechanism.upper()}: estimated mean, truth 0", loc="left", fontsize=11)
for axes in panels:
    axes.spines[["top", "right"]].set_visible(False)
plt.show()
