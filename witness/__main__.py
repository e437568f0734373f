"""`python -m witness` is `patrolbook-witness`."""

from witness.cli import main

if __name__ == "__main__":
    main()
