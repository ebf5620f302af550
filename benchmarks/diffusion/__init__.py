"""Benchmarks of `ScoreDiffusion`: its densities and its draws, next to those of others."""
