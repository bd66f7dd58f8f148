#!/bin/sh
# nginx reads certificates only when it starts or is reloaded. certbot runs this after each renewal.
exec systemctl try-reload-or-restart nginx
