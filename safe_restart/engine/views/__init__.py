"""What people are shown: status, plan, estimate, doctor, board. Nothing here changes a bench."""
