"""Ends the process while it is being read.

Earns: nothing
"""

import ctypes

ctypes.CDLL(None)._exit(0)
