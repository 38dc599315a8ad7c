"""`python -m driftmon` is `driftmon`."""

from driftmon.cli.main import main

if __name__ == "__main__":
    main()
