"""What do these bytes mean? Pure: the standard library, `cryptography` and `idna` only."""
