"""The bench: raw OPA, our engine client and whole decisions, measured in one run. Started by `make bench`."""
