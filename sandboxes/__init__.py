"""Run untrusted programs in six languages safely and fast."""
