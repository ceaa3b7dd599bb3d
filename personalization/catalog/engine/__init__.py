"""Reading product data as shops send it: plain values in, canonical columns or problems out."""
