"""Metrics, baselines and significance tests over predictions."""
