"""What every part of the package may use: files, progress bars, optional libraries. It knows no array."""
