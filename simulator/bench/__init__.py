"""Engine and peers side by side: what they earn on worlds whose truth is known, and how fast they are."""
