"""
Why a hole is there decides what may be done about it
=====================================================

Two tables with the same number of holes. In one they are there *completely at random* (MCAR). In
the other a value is the more likely to be missing the larger another column is (*missing at
random*, MAR), as when a second, dearer measurement is skipped for patients whose first one was
clear. ``ampute`` makes both kinds from a complete table, so the truth is known.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from sm_estimators import GaussianScoreMatching
from sm_estimators.missingness import ampute

columns = ["mean radius", "mean concave points", "mean texture"]
X = np.log(load_breast_cancer(as_frame=True).data[columns].to_numpy() + 0.01)
X = (X - X.mean(axis=0)) / X.std(axis=0)

# %%
# Under MAR the estimator refuses rules that ignore the mechanism
# ----------------------------------------------------------------
# Dropping incomplete rows, and marginal score matching (``"exact"`` and ``"importance"``), take
# the seen part of a pattern for a fair sample of its marginal. Under MAR it is not.

holes = ampute(X, "mar", 0.5, drivers=0, steepness=3.0, random_state=0)
for rule in ["complete_case", "exact", "imputation"]:
    try:
        GaussianScoreMatching(missing=rule, mechanism="mar").fit(holes.X)
        print(f"{rule}: valid")
    except ValueError as error:
        print(f"{rule}: {error}")

# %%
# What would go wrong
# -------------------
# We tell the estimator that the holes are MCAR, true or not, and repeat with 30 sets of holes.
# The estimate is the mean of the second column, which is zero in the complete table. Every rule
# is right on the left. On the right only imputation is: it needs that a missing value, given what
# was seen of its row, follows the same law as a seen one, and nothing about the mechanism.

rules = {"complete_case": "complete rows", "exact": "marginals", "imputation": "imputation"}
estimates = {
    mechanism: np.array(
        [
            [
                GaussianScoreMatching(missing=rule).fit(X_holes).location_[1]
                for X_holes in [ampute(X, mechanism, 0.5, random_state=i, **options).X]
                for rule in rules
            ]
            for i in range(30)
        ]
    )
    for mechanism, options in [("mcar", {}), ("mar", {"drivers": 0, "steepness": 3.0})]
}

rng = np.random.default_rng(0)
figure, panels = plt.subplots(
    1, 3, figsize=(11, 3.6), layout="constrained", width_ratios=(1, 1.1, 1.1)
)
seen = holes.observed[:, 1]
panels[0].scatter(*X[seen, :2].T, s=9, color="#7f9db9", linewidths=0, label="seen")
panels[0].scatter(*X[~seen, :2].T, s=9, color="#d55e00", linewidths=0, label="lost")
panels[0].set(xlabel="radius, always seen", ylabel="concave points")
panels[0].set_title("holes at random given the radius", loc="left", fontsize=11)
panels[0].legend(frameon=False, markerscale=2)
for axes, (mechanism, values) in zip(panels[1:], estimates.items(), strict=True):
    axes.axhline(0, color="#3a3f45", linewidth=1)
    for j in range(len(rules)):
        wrong = mechanism == "mar" and list(rules)[j] != "imputation"
        x = j + rng.uniform(-0.12, 0.12, len(values))
        axes.scatter(x, values[:, j], s=16, color="#d55e00" if wrong else "#7f9db9", linewidths=0)
    axes.set_xticks(range(len(rules)), list(rules.values()))
    axes.set(ylim=(-0.75, 0.25), xlim=(-0.5, 2.5))
    axes.set_title(f"{mechanism.upper()}: estimated mean, truth 0", loc="left", fontsize=11)
for axes in panels:
    axes.spines[["top", "right"]].set_visible(False)
plt.show()
