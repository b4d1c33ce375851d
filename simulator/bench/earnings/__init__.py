"""What the engine and other libraries earn on the same customers."""
