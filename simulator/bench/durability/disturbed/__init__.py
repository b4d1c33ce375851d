"""The disturbed soak: processes work on one database for hours while everything that can happen to it happens."""
