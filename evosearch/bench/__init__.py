"""Bench: what the driver, its journal and its queue cost, measured; `make bench` prints the tables. And how well the
strategies search, on a table of what networks reach (`strategies`).

Every figure of a table comes from one run on one machine, and each is set beside its floor, beside its target, or
beside the same work without what is measured. A benchmark asserts nothing; `same_bits` compares two versions. Import
from the modules themselves: some run where little more than torch is installed, so that none is imported here.
"""
