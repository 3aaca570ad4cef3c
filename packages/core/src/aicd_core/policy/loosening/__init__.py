"""What checks a repository runs on itself: settings of linters, types, coverage and test runners, before and after."""
