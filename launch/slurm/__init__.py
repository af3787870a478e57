"""A sweep on SLURM: submission, and the client that waits for it."""
