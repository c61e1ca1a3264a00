"""CommitPack, CommitPackFT and the other training sets, from raw sources to training files."""
