"""The demo checkpoint of three classes, and its training."""
