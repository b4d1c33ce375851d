"""What an engine survives: kills, full disks, millions of decisions."""
