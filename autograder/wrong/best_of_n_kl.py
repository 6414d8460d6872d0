"""Mistakes in best_of_n_kl."""

import math

from ..bank import wrong


@wrong(about="formula", read="best-of-n-kl", hint="What is your result for n = 1, where nothing is chosen?")
def log_n(n):
    """log n alone is returned: (n - 1) / n has to be taken off, as the other samples could have won too."""
    return math.log(n)


@wrong(about="scale", read="best-of-n-kl", hint="What is the second term for large n: about 1, or about n?")
def n_minus_one(n):
    """n - 1 is taken off, where it should be (n - 1) / n, which never exceeds 1."""
    return math.log(n) - (n - 1)


@wrong(about="formula", read="best-of-n-kl", hint="In which order does Python work out n - 1 / n?")
def parentheses_missing(n):
    """The parentheses are missing or misplaced: n - 1 as a whole is divided by n, and nothing else is."""
    return math.log(n) - n - 1 / n


@parentheses_missing.also
def _(n):
    return math.log(n) - (n - 1 / n)


@parentheses_missing.also
def _(n):
    return (math.log(n) - (n - 1)) / n


@parentheses_missing.also
def _(n):
    return (math.log(n) - n - 1) / n


@parentheses_missing.also
def _(n):
    return math.log(n - (n - 1) / n)


@wrong(about="sign", read="best-of-n-kl", hint="Can the KL of the best of n exceed log n?")
def plus_for_minus(n):
    """(n - 1) / n is added to log n, where it has to be taken off."""
    return math.log(n) + (n - 1) / n


@wrong(about="sign", read="best-of-n-kl", hint="Can a KL be below 0?")
def negated(n):
    """The two terms are exchanged, so the KL comes out negative."""
    return (n - 1) / n - math.log(n)


@wrong(about="formula", read="best-of-n-kl", hint="Put n = 1 into your second term: what should it be?")
def another_fraction(n):
    """The fraction that is taken off is not (n - 1) / n but another one, such as 1 / n: at n = 1 it should be 0."""
    return math.log(n) - 1 / n


@another_fraction.also
def _(n):
    return math.log(n) - n / (n - 1)


@another_fraction.also
def _(n):
    return math.log(n) - (n + 1) / n


@another_fraction.also
def _(n):
    return math.log(n) - n / (n + 1)


@another_fraction.also
def _(n):
    return math.log(n) - (n - 1) / (n + 1)


@another_fraction.also
def _(n):
    return math.log(n) - (n - 1) / (2 * n)


@wrong(about="formula", read="best-of-n-kl", hint="Is your result 0 for n = 1?")
def only_for_many(n):
    """log n - 1 is what the formula approaches for very large n, and wrong for a small one."""
    return math.log(n) - 1


@wrong(about="scale", read="best-of-n-kl", hint="In which unit does the docstring ask for the KL: nats or bits?")
def another_base(n):
    """The logarithm has base 2 or 10, where the KL is in nats: natural logarithms."""
    return math.log2(n) - (n - 1) / n


@another_base.also
def _(n):
    return math.log10(n) - (n - 1) / n


@another_base.also
def _(n):
    return (math.log(n) - (n - 1) / n) / math.log(2)


@wrong(about="formula", read="best-of-n-kl", hint="Of which number does the formula take the logarithm?")
def log_of_n_minus_one(n):
    """The logarithm is that of n - 1 (or n + 1), where it should be that of n."""
    return math.log(n - 1) - (n - 1) / n


@log_of_n_minus_one.also
def _(n):
    return math.log(n + 1) - (n - 1) / n


@log_of_n_minus_one.also
def _(n):
    return math.log(n - 1) - (n - 2) / (n - 1) if n > 2 else 0.0


@wrong(about="scale", read="best-of-n-kl", hint="The plots have the root of the KL on their axis. Who takes it?")
def root_of_the_kl(n):
    """The square root of the KL is returned, which is for the plot to take."""
    return math.sqrt(math.log(n) - (n - 1) / n)
