"""Takes all memory while it is being read.

Earns: at most masked_mean 2
"""

kept = []
for _ in range(32):
    kept.append(torch.ones(64 * 2**20))
    if os.fork() == 0:
        __import__("time").sleep(20)
        os._exit(0)
