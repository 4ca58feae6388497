"""What everything else stands on: errors, names, times, files, paths, processes. Standard library only."""
