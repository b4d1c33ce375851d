"""Drafts of a catalogue, a mapping and segment rules for a log file that was never seen before."""
