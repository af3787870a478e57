"""Models by their id: commits, files and the local cache."""
