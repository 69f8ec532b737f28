"""Samples: the loss over some of them, in the rows of a sheet or in a source of which the sheet shows a few.

`samples` is what training sees. For a source, `locate` finds the file, `binding` says which cells show which of its
fields, `arrays` holds the numbers. `layouts` turn the sheet's formulas into functions of a batch, with `slicing` where
there is a sample per row.
"""
