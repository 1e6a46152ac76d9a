"""Many events in, facts out: process trees, timelines, neighbours. Pure; never opens a script."""
