"""The plugins of other harnesses: thin, with no logic that the library does not have."""
