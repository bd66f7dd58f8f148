"""Optional app: remembers what Postal does not give back. List it in INSTALLED_APPS to switch it on."""
