"""`python -m sgdsheet`."""

from sgdsheet.cli import main

if __name__ == "__main__":
    main()
