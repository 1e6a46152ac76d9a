"""What is kept between runs: cases, and later the event lake, baselines and the audit chain."""
