"""The server of `sgdsheet open` and its page: a really started process, and what talks to it."""
