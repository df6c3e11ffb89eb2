"""Holding a search: locks that die with their driver, heartbeats, and the logbook that a driver writes with."""
