"""What authors of extensions test them with. It needs pytest."""
