"""Timings of Burnish beside a floor and its peers. Each file is run by its path: `python benchmarks/startup.py`."""
