"""Speed and memory against the original implementations, both in one run on the same cores."""
