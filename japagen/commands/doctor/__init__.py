"""`japagen doctor`: whether this machine and an LLM are ready."""
