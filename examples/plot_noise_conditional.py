"""
Rings with holes: a model of all noise scales
=============================================

No Gaussian describes rows on rings, and a score-matching loss at one noise scale cannot see how
much each ring weighs. ``ScoreDiffusion`` learns the scores of the table with noise of every size,
here from a table with a fifth of its values missing, and gives rows, imputations and normalised
log-densities.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from sm_estimators import ClassifierFree, ResidualMLP, ScoreDiffusion, VarianceExploding

rng = np.random.default_rng(0)
n = 6000
radius = rng.choice([1.0, 2.5], size=n, p=[0.3, 0.7])
angle = rng.uniform(0, 2 * np.pi, n)
complete = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
complete += 0.15 * rng.normal(size=(n, 2))
X = np.where(rng.random((n, 2)) < 0.2, np.nan, complete)
X = X[~np.isnan(X).all(axis=1)]

estimator = ScoreDiffusion(
    ResidualMLP(64, 2), process=VarianceExploding(centre=0.3), max_iter=1500, random_state=0
).fit(X)
rows = estimator.sample(2000, random_state=0)
print(f"on the outer ring: {np.mean(np.hypot(*rows.T) > 1.75):.2f} of the draws")

# %%
# Density, draws and imputations
# ------------------------------
# The log-density is normalised: over the plane it integrates to one. On the right, the second
# column is missing and the first is 0.5: the imputations find the four places where the line
# crosses the rings, in nearly the right proportions.

axis = np.linspace(-3.4, 3.4, 61)
grid = np.column_stack([a.ravel() for a in np.meshgrid(axis, axis)])
density = np.exp(estimator.score_samples(grid))
print(f"integral: {density.sum() * (axis[1] - axis[0]) ** 2:.3f}")

given = np.tile([0.5, np.nan], (2000, 1))
imputed = estimator.impute(given, random_state=0)[0][:, 1]

figure, panels = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
seen = X[~np.isnan(X).any(axis=1)]
panels[0].scatter(*seen[:2000].T, s=2, color="#7f9db9", linewidths=0)
panels[0].set_title("rows without holes", loc="left", fontsize=11)
panels[1].contourf(axis, axis, density.reshape(61, 61), 12, cmap="Blues")
panels[1].axvline(0.5, color="#d55e00", linewidth=1)
panels[1].set_title("density", loc="left", fontsize=11)
panels[2].scatter(*rows.T, s=2, color="#d55e00", linewidths=0)
panels[2].set_title("draws", loc="left", fontsize=11)
for axes in panels[:3]:
    axes.set(xlim=(-3.4, 3.4), ylim=(-3.4, 3.4), aspect="equal")

x2 = np.linspace(-3.4, 3.4, 400)
truth = sum(
    weight
    * np.exp(-0.5 * ((np.hypot(0.5, x2) - r) / 0.15) ** 2)
    / r  # thin rings: density along a radius, over the length of the ring
    for r, weight in [(1.0, 0.3), (2.5, 0.7)]
)
panels[3].hist(imputed, bins=60, density=True, color="#d55e00", alpha=0.6)
panels[3].plot(x2, truth / (truth.sum() * (x2[1] - x2[0])), color="black", linewidth=1)
panels[3].set_title("imputed, given 0.5; truth", loc="left", fontsize=11)
for axes in panels:
    axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Rows of a kind
# --------------
# With labels, rows can be drawn given one, and ``ClassifierFree`` exaggerates what is typical of
# it. Two columns of the breast-cancer table; the weight 1 is the model itself.

data = load_breast_cancer(as_frame=True)
columns = ["mean radius", "mean concave points"]
table, diagnosis = data.data[columns], data.target_names[data.target]
labelled = ScoreDiffusion(ResidualMLP(64, 2), max_iter=1500, random_state=0).fit(table, diagnosis)

figure, panels = plt.subplots(
    1, 3, figsize=(11, 3.4), layout="constrained", sharex=True, sharey=True
)
colours = {"malignant": "#d55e00", "benign": "#4477aa"}
for label, colour in colours.items():
    panels[0].scatter(*table[diagnosis == label].to_numpy().T, s=6, color=colour, label=label)
    for axes, weight in zip(panels[1:], (1.0, 3.0), strict=True):
        draws = labelled.sample(300, y=label, guidance=ClassifierFree(weight), random_state=0)
        axes.scatter(*draws.T, s=6, color=colour)
        axes.set_title(f"drawn given the label, weight {weight:g}", loc="left", fontsize=11)
panels[0].set_title("rows", loc="left", fontsize=11)
panels[0].set_ylabel(columns[1])
panels[0].legend(frameon=False)
for axes in panels:
    axes.set_xlabel(columns[0])
    axes.spines[["top", "right"]].set_visible(False)
plt.show()
