"""What the larger tests share: starting the real program and talking to it as a user would."""
