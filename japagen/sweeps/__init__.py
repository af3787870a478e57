"""A sweep on the disk, for whoever runs or reads it."""
