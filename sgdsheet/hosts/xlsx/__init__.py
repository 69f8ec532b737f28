"""Excel's files: reading their parts, and patching them so that all that is not ours stays byte for byte."""
