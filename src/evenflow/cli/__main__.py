"""`python -m evenflow.cli`, and where the package is not installed."""

import sys

from evenflow.cli import main

sys.exit(main())
