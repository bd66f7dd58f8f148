"""`python -m postal_server`."""

import sys

from .cli import main

sys.exit(main())
