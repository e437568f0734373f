"""Where the server keeps things. The only room that speaks SQL or touches blob files."""
