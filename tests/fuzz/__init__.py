"""Fuzzing: `make fuzz` feeds what strangers may send to what reads it, guided by coverage."""
