"""How programs talk to the background trainer, and how it is started."""
