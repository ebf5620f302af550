"""The noise-conditional model: E[z | y] of a clean row z from a noisy one y = z + s ξ.

Score and denoiser are one thing (Tweedie's formula, Robbins 1956; Miyasawa 1961):
∇_y log p_s(y) = (E[z | y] − y) / s². What a network is asked for is the part of it that a Gaussian
:mod:`backbone <sm_estimators.diffusion.backbone>` leaves open, in units of the posterior standard
deviation c: the output is of order one at every noise scale (Karras, Aittala, Aila and Laine 2022,
with a covariance in place of their one variance). Where the backbone has a share w of a mixture of
Gaussians, the network has the rest.
"""

from functools import partial
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from sm_estimators._spec import spec, static
from sm_estimators._typing import Level, Params, Point, Scalar
from sm_estimators.diffusion.backbone import Backbone, log_density, posterior, share_at
from sm_estimators.diffusion.networks import AbstractNetwork
from sm_estimators.diffusion.roles import Roles

SMOOTH = 0.2
"""Noise scale below which the correction of the score is held back, in standard deviations.

What the noise leaves of a smooth density is bounded, so the network's output falls with the noise;
without this it has to learn a zero, and the score at the smallest scales is its error, magnified.
"""
Parameterisation = Literal["denoiser", "energy", "noise"]


class Model(NamedTuple):
    """What a fit keeps: a backbone and the weights of a network."""

    backbone: Backbone
    weights: Params


class Look(NamedTuple):
    """What the model says of a noisy row: E[z | y], and the scale its error is measured in."""

    clean: Point
    deviation: Point


@spec
class Denoiser:
    """A network and what its output F means.

    Parameters
    ----------
    network : AbstractNetwork
        F(u, log s), with u the row in units of its standard deviation.
    parameterisation : {"denoiser", "energy", "noise"}, default="denoiser"
        "denoiser": E[z | y] = m + (1 − w)·c·F + w·(m′ − m), with m and c the posterior mean and
        standard deviation of the Gaussian backbone, c times s / (s + 0.2), and m′ the mean under
        a mixture with the share w at the noise scale. "energy": the log-density of y is that of
        the backbone plus (1 − w) Σ_j c_j F_j y_j / s², so the score is a true gradient; about
        three times as dear. "noise": the score is F / s, without a backbone, as first published
        (Song and Ermon 2019).
    """

    network: AbstractNetwork
    parameterisation: str = static(default="denoiser")

    def __post_init__(self):
        if self.parameterisation not in get_args(Parameterisation):
            raise ValueError(
                f"`parameterisation` must be one of {get_args(Parameterisation)}; got "
                f"{self.parameterisation!r}."
            )

    def init(self, rng: np.random.Generator, backbone: Backbone) -> Model:
        """Return the model that says what the backbone says. Host code."""
        return Model(backbone, self.network.init(rng, backbone.location.shape[1]))

    def look(self, model: Model, y: Point, noise_scale: Level, roles: Roles) -> Look:
        """Return E[z | y] of all columns; in given ones it is ``y``."""
        if self.parameterisation == "noise":
            clean = y + noise_scale * self._output(model.weights, y, noise_scale, roles)
            return Look(clean, jnp.full_like(y, noise_scale))
        mean, deviation = posterior(model.backbone, y, noise_scale, roles)
        unit = self._unit(model, deviation, noise_scale)
        if self.parameterisation == "energy":
            correction = partial(self._correction, model.weights)
            slope = jax.grad(correction)(y, noise_scale, roles, unit)
            return Look(mean + noise_scale**2 * slope, deviation)
        output = self._output(model.weights, y, noise_scale, roles)
        return Look(jnp.where(roles.given, y, mean + unit * output), deviation)

    def score(self, model: Model, y: Point, noise_scale: Level, roles: Roles) -> Point:
        """Return ∇ log p_s(y_noised | y_given); zero elsewhere."""
        clean = self.look(model, y, noise_scale, roles).clean
        return jnp.where(roles.noised, (clean - y) / noise_scale**2, 0.0)

    def log_density(self, model: Model, y: Point, noise_scale: Level, roles: Roles) -> Scalar:
        """Return log p_s(y_noised | y_given) up to a constant; only of an energy."""
        deviation = posterior(model.backbone, y, noise_scale, roles).deviation
        unit = self._unit(model, deviation, noise_scale)
        said = log_density(model.backbone, y, noise_scale, roles)
        return said + self._correction(model.weights, y, noise_scale, roles, unit)

    def _unit(self, model: Model, deviation: Point, noise_scale: Level) -> Point:
        """Return what one unit of the output stands for."""
        return (1 - share_at(model.backbone, noise_scale)) * deviation * softened(noise_scale)

    def _correction(self, weights, y, noise_scale, roles, unit) -> Scalar:
        """Return what an energy adds to the log-density of the backbone."""
        output = self._output(weights, y, noise_scale, roles)
        return jnp.sum(jnp.where(roles.noised, unit * output * y, 0.0)) / noise_scale**2

    def _output(self, weights: Params, y: Point, noise_scale: Level, roles: Roles) -> Point:
        """Return the network's output at the row in units of its standard deviation."""
        spread = jnp.sqrt(1 + jnp.where(roles.noised, noise_scale**2, 0.0))
        u = jnp.where(roles.noised | roles.given, y / spread, 0.0)
        return self.network(weights, u, jnp.log(noise_scale), roles)


def softened(noise_scale: Level) -> Level:
    """Return the share of a posterior deviation that one unit of the output stands for."""
    return noise_scale / (noise_scale + SMOOTH)
