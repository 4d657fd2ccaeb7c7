"""From a training checkpoint to a model folder, with torch; not in images."""
