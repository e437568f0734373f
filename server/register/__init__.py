"""What staff keep for everybody: the register of institutions, divisions, editions of checklists, people and who answers for what."""
