"""
A table with holes, from the first look to new rows
====================================================

Moored buoys in the equatorial Pacific measured sea and air in 1993 and, during an El Niño, in
1997. The table has 177 holes that nobody made on purpose. We look at them, fit a density to the
table as it is, fill the holes in and draw new rows.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sm_estimators import GaussianScoreMatching
from sm_estimators.datasets import load_oceanbuoys
from sm_estimators.missingness import describe_missing, little_mcar_test
from sm_estimators.plotting import plot_holes, plot_imputed

buoys = load_oceanbuoys()
print(describe_missing(buoys))

# %%
# Are the holes there completely at random?
# -----------------------------------------
# Little's test compares the means of rows with different holes. Its p-value is tiny: the holes
# are *not* completely at random. All missing humidities are from 1993 and nearly all missing air
# temperatures from 1997. The year is always seen, so "missing at random" (the chance of a hole
# depends on what was seen) is a sensible assumption, and we say so to the estimator.

test = little_mcar_test(buoys)
print(f"d² = {test.statistic:.0f} on {test.dof} degrees of freedom, p = {test.pvalue:.1g}")

estimator = GaussianScoreMatching(mechanism="mar").fit(buoys)
print(f"rule for holes: {estimator.missing_}")

# %%
# The picture of the holes, rows sorted by what is missing:

axes = plt.figure(figsize=(6.4, 3.6), layout="constrained").subplots()
_ = plot_holes(buoys, ax=axes, sort=True)

# %%
# Fill the holes
# --------------
# ``impute`` draws: imputations differ by as much as the table leaves open. What was seen comes
# back bit for bit, as a DataFrame with the same columns, index and types. The imputed values do
# not look like the observed ones of the same column, and here they should not: the missing air
# temperatures belong to the warm year and the missing humidities to the cold one.

filled = estimator.impute(buoys, n_imputations=20, random_state=0)
_ = plot_imputed(buoys, filled, figure=plt.figure(figsize=(6.4, 2.9), layout="constrained"))

# %%
# Draw new rows
# -------------
# ``sample`` draws rows of the fitted Gaussian. They have the right trend and spread, but a
# Gaussian has one mode: it also puts rows between the cold and the warm year, where there are
# none. Rows can be ordered, too: write down what is known of them, leave the rest empty, and
# impute. Given the year, the gap is there.

samples = estimator.sample(500, random_state=0)
wishes = pd.DataFrame(np.nan, index=range(500), columns=buoys.columns)
wishes["year"] = np.repeat([1993.0, 1997.0], 250)
ordered = estimator.impute(wishes, random_state=0)[0]

SEEN, ADDED = "#7f9db9", "#d55e00"
columns = ["sea_temp_c", "air_temp_c"]
hole = buoys["air_temp_c"].isna() & buoys["sea_temp_c"].notna()
pictures = {
    "air temperatures, imputed": filled[0].loc[hole, columns].to_numpy(),
    "new rows": samples[:, [3, 4]],
    "new rows, given the year": ordered[columns].to_numpy(),
}
figure, panels = plt.subplots(
    1, 3, figsize=(10, 3.5), sharex=True, sharey=True, layout="constrained"
)
for axes, (title, added) in zip(panels, pictures.items(), strict=True):
    axes.scatter(*buoys[columns].to_numpy().T, s=9, color=SEEN, linewidths=0, label="observed")
    axes.scatter(*added.T, s=9, color=ADDED, alpha=0.75, linewidths=0, label="drawn")
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("sea surface, °C")
    axes.spines[["top", "right"]].set_visible(False)
panels[0].set_ylabel("air, °C")
panels[0].legend(frameon=False, loc="upper left", markerscale=2)
plt.show()
