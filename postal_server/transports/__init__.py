"""The ways out: SMTP, HTTP and DNS, all asyncio. They implement `engine.ports`."""
