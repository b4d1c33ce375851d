"""Benchmarks of the engine: earnings beside other libraries, speed, and durability under kills and full disks."""
