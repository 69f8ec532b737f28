"""What else is done with a model: check it, look at its gradients and its loss, watch it train."""
