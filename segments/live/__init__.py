"""Live membership: rules folded by the processor, turned by the clock, taken in by new versions."""
