"""Looking things up: records, lists, search, and the numbers of the home page, each within what somebody may see."""
