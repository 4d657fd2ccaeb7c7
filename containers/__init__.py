"""One package per algorithm: what is its own alone."""
