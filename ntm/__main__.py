"""``python -m ntm``: see `ntm.cli`."""

import sys

from ntm.cli import main

sys.exit(main())
