"""systemd: its manager over D-Bus, its journal, its notification socket."""
