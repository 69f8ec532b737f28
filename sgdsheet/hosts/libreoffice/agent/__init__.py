"""What runs under LibreOffice's own Python (from 3.8 on): the standard library and UNO, nothing else."""
