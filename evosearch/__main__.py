"""`python -m evosearch` is the `evosearch` command."""

from evosearch.cli import main

main()
