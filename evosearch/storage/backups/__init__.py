"""Backups: copies of a journal in a remote store, what comes back from there, and what is rescued of a journal that is taken away."""
