"""What runs inside a sandbox: the standard library only, on any Python >= 3.10."""
