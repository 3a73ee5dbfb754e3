"""`python -m ricorso` is the same as `ricorso`."""

from ricorso.cli.main import main

main()
