"""The command line by ``python -m repinv.app``."""

from repinv.app.commands.main import main

if __name__ == "__main__":
    main()
