"""`python -m japagen` is the command `japagen`."""

from japagen.commands.main import main

if __name__ == "__main__":
    main()
