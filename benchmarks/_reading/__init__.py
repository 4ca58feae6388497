"""What reading costs, a task in a process of its own: `python -m benchmarks._reading compact FOLDER --rows 1000000`."""
