"""The driver as a state machine: events in, facts, the fold of the facts, their consequences, commands out."""
