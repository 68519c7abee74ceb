"""One file for each command: its options, its calls and what it prints. Shared parts lie beside this folder."""
