"""`python -m freehold` and the `freehold` command."""

from freehold.cli.main import app


def main() -> None:
    """Runs the command line."""
    app()


if __name__ == "__main__":
    main()
