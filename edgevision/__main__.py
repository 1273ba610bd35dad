"""`python -m edgevision`."""

from __future__ import annotations

from edgevision.cli.main import main

main()
