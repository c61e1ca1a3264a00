"""The Megatron-LM path: data in its indexed format, launch scripts, and checkpoints to and from transformers."""
