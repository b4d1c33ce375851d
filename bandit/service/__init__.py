"""The engine as a service: decisions over HTTP, and as an OpenFeature provider."""
