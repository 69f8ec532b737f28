"""Where workbooks live: one module or package per host."""
