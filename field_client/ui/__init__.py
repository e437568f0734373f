"""The touch screen: a local web application on 127.0.0.1, for one browser on this tablet, that works without a network.

    app.py           the WSGI application: a tablet for each request, problems as pages
    guard.py         the door: the one browser that was started with it
    seats.py         whose place it is, and the keys while it is unlocked
    rounds.py        background rounds, and what pages tell of them
    here.py          what a screen works with; read this first to add one
    lock, setup, today, institutions, sync, …   the screens: a module each, templates in `templates/ui/<screen>/`

Pages are plain forms first; `static/ui.js` makes them quicker. Acts live in the shared modules of `field_client`, not here.
"""
