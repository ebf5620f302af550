"""Fixtures of several test files, and how XLA compiles under test.

Nearly all of the time of the tests is compilation, of programs that then run for an instant: they
are compiled in half the time, to code that is three times slower. Set ``XLA_FLAGS`` to run the
tests as users run the library.
"""

import os
from pathlib import Path

import jax
import pytest

QUICK = "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0"
os.environ.setdefault("XLA_FLAGS", QUICK)  # read when JAX first computes

MAPPINGS = Path("/proc/self/maps")
MOST_MAPPINGS = 30_000
"""Half of what Linux gives a process by default."""


@pytest.fixture(autouse=True, scope="module")
def room_to_compile():
    """Drop compiled code before the process runs out of mappings: XLA ends it without a word."""
    yield
    if MAPPINGS.exists() and MAPPINGS.read_bytes().count(b"\n") > MOST_MAPPINGS:
        jax.clear_caches()


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
