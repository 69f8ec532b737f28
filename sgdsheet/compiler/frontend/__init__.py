"""From formulas to blocks in order: names become ranges, copied formulas become blocks, blocks get an order."""
