"""One recorder in a process of its own: `python -m benchmarks._recorders measure burnish FOLDER --steps 10000`.

Each recorder writes rows that anyone can compute again from the step alone, so what a folder holds is compared
with what was logged, value by value, in another process.
"""
