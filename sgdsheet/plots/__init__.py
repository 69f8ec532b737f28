"""Pictures of a run, drawn by matplotlib (the extra `plot`) without a window.

`losses`: the course of a run; `charts`: a sheet's own charts; `animation`: these while it trains; `surface`: the loss
over one or two parameters.
"""
