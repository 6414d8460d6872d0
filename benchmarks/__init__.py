"""Side-by-side measurements: each module is one command, and prints a table."""
