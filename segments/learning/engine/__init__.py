"""Pure learning about customers: arrays in, arrays out; time and randomness are arguments."""
