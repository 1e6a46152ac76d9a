"""Facts in, verdicts out: scores with their reasons, and which findings are one case. Pure."""
