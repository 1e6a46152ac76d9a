"""Nouns only: frozen values without I/O and without a clock. Every room speaks in these."""
