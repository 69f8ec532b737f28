"""From formulas to one `torch.fx` program: resolve, blocks, planning, lowering, program, rewrites."""
