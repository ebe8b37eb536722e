"""Helpers of every part of the package: checks of arguments, files, progress bars, optional libraries."""
