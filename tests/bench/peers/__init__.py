"""Other decision points, asked the same question in one run with ours: `make bench-peers`."""
