"""Artifacts: the folder or store of pictures, weights and backups, and the probe by which a worker finds out that it is the driver's."""
