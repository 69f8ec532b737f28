"""What rewrites the recorded program: convolutions, equal calculations, small rewrites."""
