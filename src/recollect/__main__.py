"""`python -m recollect`: the same command line as `recollect`."""

from recollect.cli.app import main

if __name__ == "__main__":
    main()
