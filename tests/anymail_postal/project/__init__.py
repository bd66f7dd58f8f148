"""A project that moves to this package: PROJECT_USES says whose backend and URLs it has."""
