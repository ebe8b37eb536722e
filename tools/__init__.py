"""What makes the sample of MNIST, the table of functions and the pictures of the documentation."""
