"""Files and folders of this machine, ours and users'."""
