"""Training inside a spreadsheet that is open: a background trainer, and how programs talk to it.

    undo       what cells held before, and where they are now
    run        one open workbook, and its training in the background
    commands   what can be asked of it, one file each
    ipc        how programs reach the background trainer

A package imports only from those above it. Programs with buttons import `commands` and `ipc.client`, which are instant.
"""
