"""The model folder: what an export writes and a run reads."""
