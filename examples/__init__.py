"""Examples that run: `make demo` and `make demo-real`."""
