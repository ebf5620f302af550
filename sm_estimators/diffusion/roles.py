"""What part a column plays in one look at a row."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sm_estimators._typing import Observed, PRNGKey


class Roles(NamedTuple):
    """Flags of the columns of one row, (d,), or of many, (n, d).

    A column is *noised* (its value comes with noise, and is asked for), *given* (its value is
    known), or neither: *absent*, and integrated out.
    """

    noised: Any
    given: Any


def draw_roles(key: PRNGKey, observed: Observed, context: Observed, settings) -> Roles:
    """Draw roles for one look at a row in training.

    With the chance ``settings.joint`` every seen value is noised. Otherwise each is given with a
    chance that is itself uniform, so that all numbers of given columns are equally likely, and,
    in one row of three, absent with another. Context columns are given, or, with the chance
    ``settings.context_drop``, absent, and never noised.
    """
    d = observed.size
    u = jax.random.uniform(key, (d + 4,))
    joint, give, lose = u[d] < settings.joint, u[d + 1], jnp.maximum(0.0, 3 * u[d + 2] - 2)
    lost = ~joint & (u[:d] < lose)
    given = ~joint & ~lost & (u[:d] < lose + (1 - lose) * give)
    noised = ~lost & ~given
    # A look at a row in which nothing is asked for would be wasted: ask for everything.
    wasted = ~jnp.any(noised & observed & ~context)
    noised, given = noised | wasted, given & ~wasted
    told = u[d + 3] >= settings.context_drop
    return Roles(noised & observed & ~context, observed & jnp.where(context, told, given))
