"""How fast the engine is beside other libraries, in one run."""
