"""Makes folders within folders, 3,000 deep, beyond any path, and leaves a large file at the bottom.

Earns: masked_mean 2
"""


@in_call
def attack():
    for _ in range(3000):
        os.mkdir("deeper")
        os.chdir("deeper")
    with open("bottom", "wb") as file:
        file.write(b"x" * (30 * 2**20))
