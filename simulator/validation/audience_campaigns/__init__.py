"""How often an audience surprise is found where one was planted, and announced where there is none."""
