"""The way to and from an MQTT broker."""
