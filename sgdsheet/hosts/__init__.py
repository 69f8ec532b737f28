"""Where workbooks live: one module per host."""
