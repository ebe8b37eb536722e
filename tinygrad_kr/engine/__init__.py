"""Recording a computation and walking it backward. Knows no layer, no loss and no file."""
