"""Scheduling: what is dispatched next, where, and how long it will take."""
