"""Pictures of the facts, each a matplotlib figure of its own size."""
