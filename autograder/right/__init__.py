"""Valid variants, one module an exercise: other ways to write a right answer, which every check has to accept."""
