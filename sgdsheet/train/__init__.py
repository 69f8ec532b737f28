"""The training loop: sessions, methods, samples, restarts, checkpoints."""
