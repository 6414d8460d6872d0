"""Named mistakes, one module an exercise: what learners write when they misunderstand, why it is wrong, and where to read."""
