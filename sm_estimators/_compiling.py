"""How XLA compiles loops."""

import os

QUICK_COMPILE = {"xla_backend_optimization_level": 1}
"""Options for long programs that run for seconds: they halve the time to compile, and the loops
run no more than a tenth slower (measured). An ``XLA_FLAGS`` of the user's that names the level
wins."""

if any(option in os.environ.get("XLA_FLAGS", "") for option in QUICK_COMPILE):
    QUICK_COMPILE.clear()
