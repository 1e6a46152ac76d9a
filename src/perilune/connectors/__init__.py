"""Products and hosts that actions are done on. Each can say what it would send, read a state, and act."""
