"""
Which density? Compare them on rows they have not seen
======================================================

``score`` is minus the mean score-matching loss; higher is better. It is the same criterion for
every density and every training objective, it needs no normalising constant, and scikit-learn's
cross-validation can use it as it is. We compare a Gaussian, a mixture and a neural energy on two
columns of the breast-cancer table.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import KFold, cross_val_score

from sm_estimators import (
    EnergyScoreMatching,
    GaussianMixture,
    GaussianScoreMatching,
    ScoreMatchingEstimator,
)

X = load_breast_cancer(as_frame=True).data[["mean radius", "mean compactness"]].to_numpy()
X = (X - X.mean(axis=0)) / X.std(axis=0)

candidates = {
    "Gaussian": GaussianScoreMatching(),
    "mixture": ScoreMatchingEstimator(GaussianMixture(3), ridge=1e-3, random_state=0),
    "energy": EnergyScoreMatching(
        (32,), learning_rate=1e-2, n_iter_no_change=5, max_iter=1000, random_state=0
    ),
}
folds = KFold(5, shuffle=True, random_state=0)
scores = {name: cross_val_score(e, X, cv=folds) for name, e in candidates.items()}
for name, values in scores.items():
    print(f"{name:8} {values.mean():5.2f}   folds: {np.round(values, 2)}")

# %%
# The score has units
# -------------------
# The score is made of derivatives with respect to the columns, so it changes when a column is
# given in other units. Compare densities on one table only, and scale the columns first when they
# should count alike, as was done above. Here is the same Gaussian on the same rows, the first
# column ten times larger:

print(f"{cross_val_score(GaussianScoreMatching(), X * [10, 1], cv=folds).mean():.2f}")

# %%
# What each density sees
# ----------------------
# The lines hold 50 %, 80 % and 95 % of the rows. A log-density may be known up to a constant only;
# the quantiles of ``score_samples`` on the rows make it harmless. Folds differ among themselves
# more than densities do within one fold, because a few rows in thin regions carry much of the
# loss: compare the densities fold by fold, along the lines of the last panel.

x, y = np.linspace(-2.6, 4.6, 90), np.linspace(-2.6, 5.2, 90)
grid = np.column_stack([a.ravel() for a in np.meshgrid(x, y)])

figure, panels = plt.subplots(1, 4, figsize=(11, 3.4), layout="constrained")
for axes, (name, candidate) in zip(panels, candidates.items(), strict=False):
    fitted = candidate.fit(X)
    levels = np.quantile(fitted.score_samples(X), [0.05, 0.2, 0.5])
    log_density = fitted.score_samples(grid).reshape(len(y), len(x))
    axes.scatter(*X.T, s=6, color="#7f9db9", linewidths=0)
    axes.contour(
        x, y, log_density, levels, colors="#d55e00", linewidths=[0.9, 1.3, 1.8], linestyles="solid"
    )
    axes.set_title(f"{name}: {scores[name].mean():.2f}", loc="left", fontsize=11)
    axes.set_xlabel("radius, standardised")
panels[0].set_ylabel("compactness, standardised")

table = np.array(list(scores.values()))
panels[3].plot(table, color="#7f9db9", linewidth=1, marker="o", markersize=3)
panels[3].plot(table.mean(axis=1), color="#d55e00", linewidth=2, marker="o")
panels[3].set_xticks(range(len(scores)), list(scores))
panels[3].set_title("score by fold, and mean", loc="left", fontsize=11)
for axes in panels:
    axes.spines[["top", "right"]].set_visible(False)
plt.show()
