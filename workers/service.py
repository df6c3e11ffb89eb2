"""What every worker process does, whichever pool it belongs to: run tasks, tell of progress, know when it is worn out."""
