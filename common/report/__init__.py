"""What a person wants to see of a mask: pictures, a table of lesions, and what the truth says of them."""
