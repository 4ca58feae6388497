"""What looks after a whole project rather than one run."""
