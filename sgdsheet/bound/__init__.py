"""Bound datasets: the sheet shows a few samples, or one, and the model is trained on a file.

`locate` finds the file, `binding` says which cells show which of its fields, `data` holds the numbers, `rows` and
`example` turn the sheet's formulas into a function of a batch, and `samples` is what training sees of it.
"""
