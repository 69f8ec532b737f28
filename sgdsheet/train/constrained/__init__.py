"""Training under bounds and constraints: what Excel's Solver does."""
