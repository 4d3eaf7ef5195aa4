"""Which wells, planes and labels exist (standard library only)."""
