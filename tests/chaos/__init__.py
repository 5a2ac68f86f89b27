"""Chaos and soak: a real `pdp serve` killed and plagued under load, and every answer checked. Commands, not tests."""
