"""What `pdp doctor` looks at: one small check a question, each says how it is and, if it is not well, what to do."""
