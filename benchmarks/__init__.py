"""Benchmarks: ratios against a peer measured in the same run. Timings never decide a test."""
