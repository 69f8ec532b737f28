"""`python -m sgdsheet`."""

import sys

from sgdsheet.apps.cli import main
from sgdsheet.system import processes

if __name__ == "__main__":
    status = 0
    try:
        main()
    except SystemExit as ended:
        status = int(ended.code or 0)
    if processes.count() > 1:
        processes.end(status)
    sys.exit(status)
