"""CommitPackFT: CommitPack filtered down to commits whose messages read like instructions."""
