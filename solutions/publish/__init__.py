"""The editions of the course: `rlhf-course publish`."""
