"""The builders of the shipped toy models; their weights are in japagen/demo."""
