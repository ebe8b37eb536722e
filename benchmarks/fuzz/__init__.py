"""Random programs, here and in PyTorch or JAX: functions, nested transforms, and functions that capture Tensors."""
