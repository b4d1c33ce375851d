"""The generated pages of the documentation: each module makes the text of some from the code's own structures."""
