"""What every other room uses. Imports no other room."""
