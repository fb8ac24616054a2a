"""The server: connections and their thread, from the socket to the login and its end."""
