"""What those who logged in ask for, and who of them is sent what, when."""
