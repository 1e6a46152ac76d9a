"""Decides what to do about a case and yields it step by step; touches nothing itself."""
