"""Samples: the loss over some of them, in the rows of a sheet or in a file of which the sheet shows a few.

`in_sheet` and `cutting` evaluate some of the sheet's rows. For a bound dataset, `locate` finds the file, `binding` says
which cells show which of its fields, `data` holds the numbers, `rows` and `example` turn the sheet's formulas into a
function of a batch, and `bound` is what training sees of it.
"""
