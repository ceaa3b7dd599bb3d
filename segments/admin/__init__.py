"""Admin pages of segments."""
