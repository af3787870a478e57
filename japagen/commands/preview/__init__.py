"""`japagen preview`: a few texts or answers, and a projection of the whole."""
