"""Speed of the engine beside other libraries, timed in one run."""
