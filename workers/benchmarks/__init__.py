"""Ways to hand out trainings that evosearch is measured against, and trainings that only sleep."""
