"""Writes 400,000 empty files.

Earns: masked_mean 2
"""


@in_call
def attack():
    for number in range(400_000):
        os.close(os.open(f"f{number}", os.O_CREAT | os.O_WRONLY))
    escaped("400,000 files")
