"""What lets others check this server: the trust file, witnesses, time stamps, anchors, computed digests, and evidence bundles."""
