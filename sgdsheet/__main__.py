"""`python -m sgdsheet`, and the program `sgdsheet`: the command line, and Ctrl-C from the first moment."""

from __future__ import annotations

from sgdsheet.system import interruption


def main() -> None:
    """Run the command line and end this process; its exit status is that of `apps.cli.main`."""
    interruption.end_at_once()
    from sgdsheet.apps.cli import main as command_line  # Ctrl-C has been looked after by now
    from sgdsheet.system import processes

    status = 0
    try:
        command_line()
    except SystemExit as ended:
        status = int(ended.code or 0)
    if processes.count() > 1:
        processes.end(status)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
