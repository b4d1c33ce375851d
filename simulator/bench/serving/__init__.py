"""The HTTP service under load, beside the bare library and an empty route, and while its workers are killed."""
