"""How a sheet shows a sample of its data: one per row, or one example at a time."""
