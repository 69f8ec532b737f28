"""What runs inside the office, under its own Python (from 3.8 on): the standard library and UNO, nothing else."""
