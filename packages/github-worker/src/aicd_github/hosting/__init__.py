"""What every code host is made of: sources, branches, pushing, and the jobs of one repository on this machine."""
