#!/bin/sh
# Gives postal-server the certificate for @smtp_hostname@: only root may read certbot's own files.
# certbot runs this after each renewal; run it by hand after the first certificate has been issued.
# Certificate and key are one file, so that both change at the same moment. The server notices by itself.
set -eu

lineage=${RENEWED_LINEAGE:-/etc/letsencrypt/live/@web_hostname@}
certificate=@certificate@
key=@key@

pair=$(cat "$lineage/fullchain.pem" "$lineage/privkey.pem")
# Some versions of openssl exit with 1 if the host does not match.
answer=$(openssl x509 -noout -checkhost @smtp_hostname@ -in "$lineage/fullchain.pem") || :
case $answer in
  *" does match "*) ;;
  *" does NOT match "*)
    echo "$lineage: not for @smtp_hostname@, so postal-server does not get it."
    exit 0
    ;;
  *) exit 1 ;; # openssl has said why
esac

if printf '%s\n' "$pair" | cmp -s - "$certificate" && [ "$key" -ef "$certificate" ]; then
  echo "$certificate: has the certificate of $lineage already."
  exit 0
fi
# As the service's user: in a folder of somebody else, root might be made to write to another file.
printf '%s\n' "$pair" | runuser -u @user@ -- sh -euc '
  umask 077
  cat >"$1.new"
  mv "$1.new" "$1"
  [ "$2" -ef "$1" ] || ln -sf "$1" "$2"
' sh "$certificate" "$key"
echo "$certificate: the certificate of $lineage."
