"""What kind of function a recorded program calculates: linear, quadratic, convex, smooth, kinked or stepped."""
