"""What identify and enrich use: tokens, issuer keys, people and risk."""
