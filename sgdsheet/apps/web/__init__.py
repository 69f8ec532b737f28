"""`sgdsheet open`: a workbook in the browser, served by this process to this machine only.

In the order in which a request meets them: `access` (who may ask), `pages` (what comes over HTTP), `socket_client` (one
page that is connected), `served_book` (one workbook and its pages), `sheet_view` (the cells that a page shows).
"""
