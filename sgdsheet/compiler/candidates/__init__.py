"""Cells that look like a loss and its parameters, in workbooks where nobody has named any.

labels          the words beside cells: “Total error”, “slope”, “learning rate”
inputs          the typed numbers that flow into a cell, and how formulas read them
objectives      cells that look like a loss, by their words, their formula and their place
ranking         both put together: candidates for a model, the best first
missing_losses  predictions and data that no cell compares: the formula to write
wanted_values   results that could reach a value where nothing looks like a loss: goal seek
"""
