"""Faults: what each kind of failure leads to, which nodes are given up, and which workers make no step."""
