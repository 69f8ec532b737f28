"""Workbooks that are open in this process, for a page in the browser: calculated here, over the file.

Nothing here needs torch but the recalculation, which is loaded when something has to be calculated.
"""
