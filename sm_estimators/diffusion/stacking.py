"""How much to believe a mixture of Gaussians, and how much a network, at each noise scale.

On noisy rows that neither was fitted to, the share w(s) of the mixture has the least squared error
of (1 − w) E_network[z | y] + w E_mixture[z | y] (stacking; Wolpert 1992, Breiman 1996). Shares
depend on the noise scale alone, so the score of an energy stays a gradient.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import lsq_linear

from sm_estimators._compiling import QUICK_COMPILE
from sm_estimators.diffusion.backbone import KNOTS, alone, hats, posterior
from sm_estimators.diffusion.denoiser import Model
from sm_estimators.diffusion.looks import drawn_looks
from sm_estimators.diffusion.losses import noisy

N_LOOKS = 8
"""Looks at every row, each with its noise and with the mirror image of it."""
PRIOR_DEVIATION = 0.3
"""Of a share from the one for all noise scales, and of that from a half."""


@partial(jax.jit, compiler_options=QUICK_COMPILE)
def comparisons(key, recipe, model: Model, context, rows):
    """Return sums over looks of |mixture − network|², and of its product with the network's error.

    The first by pairs of knots, the second by knots, in units of the posterior deviation.
    """
    network = Model(alone(model.backbone), model.weights)
    mixture = model.backbone._replace(shares=jnp.ones(len(KNOTS)))

    def one(key, look):
        z, noise_scale, roles, counted = look
        noisy_row = noisy(key, z, noise_scale, roles)

        def terms(y):
            said, unit = recipe.denoiser.look(network, y, noise_scale, roles)
            other = posterior(mixture, y, noise_scale, roles).mean
            difference, error = (jnp.where(counted, (a - said) / unit, 0.0) for a in (other, z))
            return jnp.stack([difference @ difference, difference @ error])

        pair = jax.vmap(terms)(jnp.stack([noisy_row, 2 * z - noisy_row]))
        return hats(noise_scale), *jnp.sum(pair, axis=0)

    def total(key):
        hat, squares, products = jax.vmap(one)(*drawn_looks(key, recipe, context, rows))
        return (hat * (rows.weight * squares)[:, None]).T @ hat, hat.T @ (rows.weight * products)

    sums = jax.lax.map(total, jax.random.split(key, N_LOOKS))
    return jax.tree.map(lambda a: jnp.sum(a, axis=0), sums)


def shares_of_mixture(key, recipe, model: Model, context, rows) -> np.ndarray:
    """Return the shares at the knots.

    ``recipe`` and ``rows`` are those of :mod:`sm_estimators.diffusion.training`. What noise leaves
    of a row has about unit variance in the units of the comparison, so with normal priors the
    shares are those of a ridge regression.
    """
    A, b = (np.asarray(a, float) for a in comparisons(key, recipe, model, context, rows))
    weight = np.asarray(rows.weight, float)
    scale = weight[weight > 0].mean()  # only ratios of weights matter
    A, b, ridge = A / scale, b / scale, PRIOR_DEVIATION**-2
    common = (b.sum() + 0.5 * ridge) / (A.sum() + ridge)
    root = np.linalg.cholesky(A + ridge * np.eye(len(A)))
    return lsq_linear(root.T, np.linalg.solve(root, b + ridge * common), bounds=(0.0, 1.0)).x
