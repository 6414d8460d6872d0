"""What the platforms of an instructor take: nbgrader, Gradescope, GitHub Actions, and the CSV of Canvas and Moodle."""
