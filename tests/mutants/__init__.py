"""`make mutants`: every rule of the pack is changed in many small ways, and the pack's own tests must notice each."""
