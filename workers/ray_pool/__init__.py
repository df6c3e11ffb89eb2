"""Workers as Ray actors on the nodes that a cluster has now."""
