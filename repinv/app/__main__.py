"""The command line by ``python -m repinv.app``."""

from repinv.app.commands.main import main

main()
