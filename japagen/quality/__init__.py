"""What is known of a data set without training on it: counts, length, diversity, nearness to gold, artefacts, agreement."""
