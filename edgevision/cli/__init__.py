"""The command line; bodies are imported lazily."""
