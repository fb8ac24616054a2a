"""What was said of each bot, as far back as clients may have missed it. Pure.

A client's place in a history is the number of the last thing that it was sent; a history says
what brings a client from its place to now. So no client has a queue of its own: however slow it
is, all that is kept for it is a number.
"""
