"""Mappings that ship: the event exports of common tools, fitted to a catalogue and to what a file has."""
