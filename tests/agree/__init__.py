"""Do both engines say the same? Started by `make agree`; a small run is among the tests."""
