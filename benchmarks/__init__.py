"""Benchmarks: ratios against a peer measured in the same run. Timings never decide a test.

Importing this package, which happens before JAX or PyTorch is, keeps the process on two cores
where the system can, and makes every compilation of PyTorch a first one.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
