"""The original implementations, and checkpoints in a form that they read."""
