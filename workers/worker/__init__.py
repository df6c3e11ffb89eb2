"""What a worker process is, whichever pool it belongs to."""
