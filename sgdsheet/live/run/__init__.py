"""One open workbook: reading its model, training it in the background, and showing how that goes."""
