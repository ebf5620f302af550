"""Imputers of numeric tables against each other: means, draws, new rows and seconds."""
