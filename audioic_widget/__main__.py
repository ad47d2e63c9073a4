"""``python -m audioic_widget`` is the command `audioic`."""

import sys

from audioic_widget.cli import main

if __name__ == "__main__":
    sys.exit(main())
