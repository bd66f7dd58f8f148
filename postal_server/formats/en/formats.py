"""How the administration writes times: without a.m. and p.m., to the second, UTC."""

DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = "Y-m-d"
