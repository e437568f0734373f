"""What staff hand out, follow and judge: clues, tasks, reviews level by level, hand-overs."""
