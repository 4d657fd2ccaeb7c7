"""Many cases through one algorithm: planned, worked off in batches by Snakemake, and summed up."""
