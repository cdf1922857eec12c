"""The command line: each verb parses, builds, calls the library, and prints."""
