"""`python -m vecnet` is the command `vecnet`."""

from vecnet.cli import main

main()
