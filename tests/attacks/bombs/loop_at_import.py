"""Never gets to its end while it is being read.

Earns: nothing
"""

while True:
    try:
        while True:
            pass
    except BaseException:
        pass
