"""Settings: models with units and ranges, YAML with line numbers, JSON Schema."""
