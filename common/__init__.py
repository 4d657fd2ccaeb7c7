"""What every algorithm shares, from a case on the platform's disk to a mask on it."""
