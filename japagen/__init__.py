"""japagen: an LLM writes the training set, a compact encoder learns from it, and both are measured."""

__version__ = "0.1.0"
