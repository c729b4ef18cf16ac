"""The sectors. Each has the same file names, and none imports another: they meet in contracts."""
