"""`python -m pdp`."""

from .cli import main

main()
