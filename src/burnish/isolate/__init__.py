"""The code and environment that a run used."""
