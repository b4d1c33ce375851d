"""Power cuts: the files that a database leaves when what was not flushed to the disk is lost, and their check."""
