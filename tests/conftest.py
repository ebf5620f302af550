"""Fixtures of several test files."""

import jax
import pytest


@pytest.fixture
def double():
    """Run the test with 64-bit JAX arrays."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def traces():
    """Return a list that grows by a name whenever JAX traces or compiles a function."""
    names = []

    def listen(event, duration, fun_name=None, **details):
        del duration, details
        if event.startswith("/jax/core/compile/"):
            names.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)
