"""Benchmarks of tables with holes."""
