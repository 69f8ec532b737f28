"""What an analyst prints: the answer, how sure the estimates are, and what the answer depends on."""
