"""The console and the API: what `perilune serve` answers. Needs the extra `perilune[web]`."""
