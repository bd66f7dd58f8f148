"""The codes of an HTTP request that got no answer, as Postal numbers them (contract 3.5).

They stand where an answer's status code would: in `HttpResult.status`, `Outcome.code` and `Delivery.code`.
"""

TIMED_OUT = -1
NO_CONNECTION = -2
NO_TLS = -3
