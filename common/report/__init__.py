"""What a person wants to see of a mask: pictures, a table of its lesions, and how they compare with the truth."""
