"""One config of 125 values, told to each library in its own way."""
