"""Loss and gradient as one flat program: the backward pass derived from the recorded graph by a table of derivatives.

`derivative_table` has one rule per operation, which stands side by side with its derivative; the rules are in the
modules named `…_derivatives`. `tape` records what they do as operations on tensors whose memory never moves, so views
of them are taken once and not in each step. `flat_program` derives the program of a graph and compares it with
autograd's gradient; `buffer_reuse` lets numbers that are needed no longer give their memory to others. An operation
without a rule makes no flat program: autograd does the whole. `many_starts` is the program of many starts at once,
each operation in the form that `batched_forms` has of it.
"""
