"""Perilune detects, analyses, triages and answers the abuse of script and command interpreters (T1059)."""

__version__ = "0.1.0.dev0"
