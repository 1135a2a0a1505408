"""What authors of components work with: a new folder, a finished program, a trial of all parties, conformance."""
