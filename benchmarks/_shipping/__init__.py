"""What the sinks benchmark runs in processes of its own: `python -m benchmarks._shipping measure mlflow client …`.

Every way into a tracker is given the same rows, which anyone can compute again from the step alone, so that what a
tracker's own reader shows is compared with what was shipped, point by point, in another process.
"""
