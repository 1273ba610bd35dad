"""The event contract and the durable outbox."""
