"""The codes of an HTTP request that got no response, as Postal numbers them (contract 3.5).

They take the place of a status code: in `HttpResult.status`, `Outcome.code` and `Delivery.code`.
"""

TIMED_OUT = -1
NO_CONNECTION = -2
NO_TLS = -3
