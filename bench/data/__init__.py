"""Data sets: opened and checked, images read and preprocessed, fingerprints, archives fetched and unpacked."""
