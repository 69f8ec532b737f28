"""The training loop: sessions, optimizers, restarts, checkpoints."""
