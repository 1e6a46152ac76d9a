"""Compiled Lua: read, verified, listed, and followed for what it calls."""
