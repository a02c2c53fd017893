"""The Neural Turing Machine, taken apart and tested.

Equation numbers throughout the package are those of Graves, Wayne and Danihelka,
*Neural Turing Machines* (2014), arXiv 1410.5401.  The paper's memory width M is written
W here, because ``memory`` is the matrix.
"""

from ntm import addressing, memory
from ntm.machine import NTM

__all__ = ["NTM", "addressing", "memory"]
__version__ = "0.1.0"
