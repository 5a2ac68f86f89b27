"""The policy pack: checked, built, probed."""
