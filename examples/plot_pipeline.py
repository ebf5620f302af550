"""
In a scikit-learn pipeline
==========================

:class:`~sm_estimators.ScoreMatchingImputer` is a transformer: it fits a density on the training
rows and fills the holes of these and of any later rows. Here it stands inside a
``ColumnTransformer``, and a grid search decides how holes are filled. The task is to predict
the progress of diabetes from measurements with many holes.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sm_estimators import ScoreMatchingImputer
from sm_estimators.missingness import ampute

table, target = load_diabetes(as_frame=True, scaled=False, return_X_y=True)
measured = ["bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]

# %%
# Forty per cent of the measurements are removed; age and sex are always known. Numbers are imputed
# together, the category is encoded.

table[measured] = ampute(table[measured], "mcar", 0.4, random_state=0).X
X_train, X_test, y_train, y_test = train_test_split(table, target, random_state=0)

columns = ColumnTransformer(
    [
        ("numbers", ScoreMatchingImputer(), ["age", *measured]),
        ("sex", OneHotEncoder(drop="first"), ["sex"]),
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
    {"columntransformer__numbers": list(imputers.values()), "ridge__alpha": [1.0, 10.0, 100.0]},
    cv=KFold(5, shuffle=True, random_state=0),
).fit(X_train, y_train)
print(search.best_params_)
print(f"R² on the test rows: {search.score(X_test, y_test):.3f}")

results = search.cv_results_
fold_scores = np.array([results[f"split{i}_test_score"] for i in range(5)])
chosen = [
    max(
        (i for i, p in enumerate(results["params"]) if p["columntransformer__numbers"] is imputer),
        key=lambda i: results["mean_test_score"][i],
    )
    for imputer in imputers.values()
]

# %%
# On the right, what stands behind it: one column of the test rows, filled in, against the values
# that were removed.

figure, (folds, left, right) = plt.subplots(
    1, 3, figsize=(11, 3.6), layout="constrained", width_ratios=(1.1, 1, 1)
)
folds.plot(fold_scores[:, chosen].T, color="#7f9db9", linewidth=1, marker="o", markersize=3)
folds.plot(fold_scores[:, chosen].mean(axis=0), color="#d55e00", linewidth=2, marker="o")
folds.set_xticks(range(3), [name.replace(" ", "\n") for name in imputers])
folds.set_title("R² by fold, and mean", loc="left", fontsize=11)
complete = load_diabetes(as_frame=True, scaled=False).data.loc[X_test.index]
holes = X_test["s2"].isna()
for axes, (name, imputer) in zip(
    (left, right),
    [("column mean", SimpleImputer()), ("conditional mean", ScoreMatchingImputer())],
    strict=True,
):
    numbers = ["age", *measured]
    filled = imputer.set_output(transform="pandas").fit(X_train[numbers]).transform(X_test[numbers])
    axes.plot([40, 210], [40, 210], color="#3a3f45", linewidth=1)
    axes.scatter(complete.loc[holes, "s2"], filled.loc[holes, "s2"], s=14, color="#d55e00")
    axes.set(xlabel="true LDL cholesterol", xlim=(40, 210), ylim=(40, 210))
    axes.set_title(f"{name}, test rows", loc="left", fontsize=11)
left.set_ylabel("filled in")
for axes in (folds, left, right):
    axes.spines[["top", "right"]].set_visible(False)
plt.show()
