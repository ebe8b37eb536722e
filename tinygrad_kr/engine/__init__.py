"""Recording a computation and walking it backward. Knows no primitive, no layer, no loss and no file."""
