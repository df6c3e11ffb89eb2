"""The journal: append-only events, their forms in every version, the tables that readers query, and the databases that hold them."""
