"""
NumPyro on both sides
=====================

A NumPyro distribution or program can be the density that is fitted, and a fitted density is a
NumPyro distribution, ready to be a part of a bigger model.
"""

import jax
import matplotlib.pyplot as plt
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import constraints
from numpyro.infer import MCMC, NUTS

from sm_estimators import (
    FromDistribution,
    FromModel,
    ScoreMatchingEstimator,
)
from sm_estimators.datasets import load_oceanbuoys

buoys = load_oceanbuoys()

# %%
# In: a family of distributions
# -----------------------------
# One independent Student distribution per wind component, its degrees of freedom fixed.

winds = buoys[["wind_ew", "wind_ns"]].to_numpy()
student = ScoreMatchingEstimator(FromDistribution(dist.StudentT, df=8.0)).fit(winds)
print(
    {k: np.round(v, 2).tolist() for k, v in student.density_.constrained(student.params_).items()}
)

# %%
# In: a program
# -------------
# A program describes **one** row. Every ``param`` is fitted; every ``factor`` and every observed
# ``sample`` adds to the log-density, which need not be normalised. Here the air temperature
# follows the temperature of the sea, and the sea has two preferred temperatures. The constant
# that would normalise the double well has no formula, and none is needed.


def sea_and_air(x):
    """State the log-density of one row: sea and air temperature, both in °C less 26."""
    depth = numpyro.param("depth", 0.02, constraint=constraints.positive)
    half = numpyro.param("half_distance", 2.0, constraint=constraints.positive)
    middle = numpyro.param("middle", 0.0)
    numpyro.factor("double_well", -depth * ((x[0] - middle) ** 2 - half**2) ** 2)
    offset = numpyro.param("offset", -1.0)
    slope = numpyro.param("slope", 1.0)
    spread = numpyro.param("spread", 0.5, constraint=constraints.positive)
    numpyro.sample("air", dist.Normal(offset + slope * x[0], spread), obs=x[1])


temperatures = buoys[["sea_temp_c", "air_temp_c"]].dropna().to_numpy() - 26.0
program = ScoreMatchingEstimator(FromModel(sea_and_air)).fit(temperatures)
fitted = program.density_.constrained(program.params_, 2)
print({name: round(float(value), 2) for name, value in fitted.items()})

x, y = np.linspace(20.5, 31, 120), np.linspace(20.5, 29.5, 120)
grid = np.column_stack([a.ravel() for a in np.meshgrid(x, y)])
log_density = program.score_samples(grid - 26.0).reshape(len(y), len(x))
levels = np.quantile(program.score_samples(temperatures), [0.05, 0.2, 0.5])

# %%
# Out: a fitted density inside a bigger model
# -------------------------------------------
# ``to_numpyro`` gives a distribution with ``log_prob``, up to a constant, and ``sample``. Here it
# is the prior of the true temperatures, of which we have two poor measurements: the sea with an
# error of 2 °C, and the difference of air and sea with an error of 0.5 °C. NUTS needs the shape
# of the prior only, so the missing constant is harmless.

prior = program.to_numpyro()


def measurement(sea, difference):
    """Measure the sea, and the difference of air and sea."""
    true = numpyro.sample("true", prior)
    numpyro.sample("sea", dist.Normal(true[0], 2.0), obs=sea)
    numpyro.sample("difference", dist.Normal(true[1] - true[0], 0.5), obs=difference)


mcmc = MCMC(
    NUTS(measurement),
    num_warmup=300,
    num_samples=500,
    num_chains=4,
    chain_method="vectorized",
    progress_bar=False,
)
mcmc.run(jax.random.key(0), sea=-0.7, difference=-0.5)
posterior = np.asarray(mcmc.get_samples()["true"])
print(posterior.mean(axis=0).round(2), posterior.std(axis=0).round(2))

# %%
# The measurement of the sea alone leaves both years possible; so does the posterior. Under a
# Gaussian prior it would be a single blob in between, where no row has ever been.

figure, panels = plt.subplots(
    1, 2, figsize=(8.6, 3.9), sharex=True, sharey=True, layout="constrained"
)
for axes in panels:
    axes.contour(
        x, y, log_density, levels, colors="#3a3f45", linewidths=[0.6, 0.9, 1.2], linestyles="solid"
    )
    axes.set_xlabel("sea surface, °C")
    axes.spines[["top", "right"]].set_visible(False)
panels[0].scatter(*(temperatures.T + 26.0), s=8, color="#7f9db9", linewidths=0)
panels[0].set_title("fitted program and the rows", loc="left", fontsize=11)
panels[0].set_ylabel("air, °C")
panels[1].axvspan(23.3, 27.3, color="#e9edf1", label="sea as measured, ± 2 °C")
panels[1].scatter(*(posterior[::2].T + 26.0), s=6, color="#d55e00", alpha=0.35, linewidths=0)
panels[1].set_title("posterior of the true temperatures", loc="left", fontsize=11)
panels[1].legend(frameon=False, loc="upper left")
plt.show()
