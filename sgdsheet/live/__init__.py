"""Training inside a spreadsheet that is open: a background trainer, and how programs talk to it.

    client     asks the trainer, starts it if none runs      places     where its files lie
    channel    authenticated messages between processes      trainer    what happens to a request

The faces (ribbon, toolbar) import only `client`, which is instant.
"""
