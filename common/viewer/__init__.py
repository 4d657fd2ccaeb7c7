"""A page in the browser: clicks on a case, the mask that follows from them, and what to save."""
