"""Files and stores: opening, joining, reading, checking."""
