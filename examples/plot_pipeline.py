"""
In a scikit-learn pipeline
==========================

:class:`~sm_estimators.ScoreMatchingImputer` is a transformer: it fits a density on the training
rows and fills the holes of these and of any later rows. Here it stands inside a
``ColumnTransformer``, and a grid search decides how holes are filled. The task is to predict the
temperature of the sea from what is measured above it.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sm_estimators import ScoreMatchingImputer
from sm_estimators.datasets import load_oceanbuoys
from sm_estimators.missingness import ampute

buoys = load_oceanbuoys().dropna(subset=["sea_temp_c"])
target = buoys.pop("sea_temp_c")
measured = ["air_temp_c", "humidity", "wind_ew", "wind_ns"]
place = ["latitude", "longitude"]

# %%
# The table has holes of its own. To make the choice matter, 30 % of the measurements are removed
# on top. The place is always known and goes two ways: into the imputer, where it helps to guess
# the holes, and through an encoder into the regression.

holes = buoys.copy()
holes[measured] = ampute(buoys[measured], "mcar", 0.3, random_state=0).X
X_train, X_test, y_train, y_test = train_test_split(holes, target, random_state=0)

columns = ColumnTransformer(
    [
        ("measured", ScoreMatchingImputer(), [*measured, *place]),
        ("place", OneHotEncoder(), place),
    ]
)
model = make_pipeline(columns, StandardScaler(), Ridge())

# %%
# Search over imputers
# --------------------
# The conditional mean is the best guess of each single value. A draw keeps variances and
# correlations, which is right for a table that others will analyse, but adds noise to a
# predictor.

imputers = {
    "column mean": SimpleImputer(),
    "draw": ScoreMatchingImputer(strategy="draw"),
    "conditional mean": ScoreMatchingImputer(strategy="mean"),
}
search = GridSearchCV(
    model,
    {"columntransformer__measured": list(imputers.values()), "ridge__alpha": [0.1, 1.0, 10.0]},
    cv=KFold(5, shuffle=True, random_state=0),
).fit(X_train, y_train)
print(search.best_params_)
print(f"R² on the test rows: {search.score(X_test, y_test):.3f}")

results = search.cv_results_
fold_scores = np.array([results[f"split{i}_test_score"] for i in range(5)])
chosen = [
    max(
        (i for i, p in enumerate(results["params"]) if p["columntransformer__measured"] is imputer),
        key=lambda i: results["mean_test_score"][i],
    )
    for imputer in imputers.values()
]

figure, (folds, left, right) = plt.subplots(
    1, 3, figsize=(11, 3.6), layout="constrained", width_ratios=(1.1, 1, 1)
)
folds.plot(fold_scores[:, chosen].T, color="#7f9db9", linewidth=1, marker="o", markersize=3)
folds.plot(fold_scores[:, chosen].mean(axis=0), color="#d55e00", linewidth=2, marker="o")
folds.set_xticks(range(3), [name.replace(" ", "\n") for name in imputers])
folds.set_title("R² by fold, and mean", loc="left", fontsize=11)
incomplete = X_test[measured].isna().any(axis=1).to_numpy()
for axes, i, name in [(left, chosen[0], "column mean"), (right, chosen[2], "conditional mean")]:
    fitted = model.set_params(**results["params"][i]).fit(X_train, y_train)
    predicted = fitted.predict(X_test)
    for rows, colour, label in [(~incomplete, "#7f9db9", "complete"), (incomplete, "#d55e00", "with holes")]:
        axes.scatter(y_test[rows], predicted[rows], s=12, color=colour, linewidths=0, label=f"rows {label}")
    axes.plot([21, 30.5], [21, 30.5], color="#3a3f45", linewidth=1)
    axes.set(xlabel="sea surface, °C", xlim=(21, 30.5), ylim=(19.5, 32))
    axes.set_title(f"{name}: R² {fitted.score(X_test, y_test):.2f}", loc="left", fontsize=11)
left.set_ylabel("predicted, °C")
left.legend(frameon=False, loc="upper left", markerscale=1.6)
for axes in (folds, left, right):
    axes.spines[["top", "right"]].set_visible(False)
plt.show()
