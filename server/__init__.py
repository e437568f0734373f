"""The county's side: takes changes and evidence from tablets, keeps them, and shows them to staff."""
