"""What is in a folder, and what is wrong with it, before anything is prepared or trained."""
