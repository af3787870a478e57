"""`japagen predict` and `sample-to-label`: texts of the user's own files."""
