def grow(*_): return True
