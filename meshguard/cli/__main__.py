"""`python -m meshguard.cli`."""

from meshguard.cli import main

if __name__ == "__main__":
    main()
