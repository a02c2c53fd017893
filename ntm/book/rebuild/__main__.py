"""``python -m ntm.book.rebuild``: see `ntm.book.rebuild`."""

import sys

from ntm.book.rebuild import main

sys.exit(main())
