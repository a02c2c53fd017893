"""The live figures: widgets in a notebook, alive in the built page without a kernel.

Each has a Python side, here, which holds what is on the screen, and a side in the
browser, in the JavaScript files beside this one.  Both compute with the same functions:
`ntm.memory` and `ntm.addressing` here, `arithmetic.js` there; the whole machine is
`ntm.machine` here, `machine.js` there.
"""

from ntm.book.live._controller import Controller
from ntm.book.live._figures import Address, Border, Memory, Trace, Walk
from ntm.book.live._machine import Play
from ntm.book.live._tamper import Tamper

__all__ = [
    "Address",
    "Border",
    "Controller",
    "Memory",
    "Play",
    "Tamper",
    "Trace",
    "Walk",
]
