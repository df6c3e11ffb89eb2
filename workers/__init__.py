"""Workers: what runs on a GPU machine, and the only room that imports ray."""
