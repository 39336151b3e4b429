"""Where backups of owners' stores are kept: written continuously by the owner alone, read only to restore."""
