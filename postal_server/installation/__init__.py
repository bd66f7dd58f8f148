"""An installation on one machine: its configuration, its service, its backups. Only commands import it."""
