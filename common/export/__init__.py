"""From a training checkpoint to a model folder; the only part of this package that imports torch."""
