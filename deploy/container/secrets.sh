#!/bin/sh
# Makes the secrets of compose.yaml in deploy/container/secrets, once; what is there stays. Needs openssl.
#
# The directory is its owner's alone. The files can be read by the users of the containers, who see them mounted under /run/secrets.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets

# Hexadecimal: nothing in it means anything to a URL, a shell or SQL.
word() { [ -s "$1" ] || openssl rand -hex 24 >"$1"; }

for name in postgres_admin_password postgres_password mongo_admin_password mongo_password http_token grafana_password; do
    word "$name"
done
[ -s mongo_keyfile ] || openssl rand -base64 384 >mongo_keyfile
# The network between the containers is this project's own, hence no TLS to PostgreSQL.
printf 'postgres://landfall:%s@postgres:5432/shop?sslmode=disable\n' "$(cat postgres_password)" >database_url
printf 'mongodb://landfall:%s@mongo:27017/?replicaSet=rs0&authSource=admin\n' "$(cat mongo_password)" >mongodb_uri
if [ ! -s tls_cert ] || [ ! -s tls_key ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 825 -subj /CN=landfall \
        -addext 'subjectAltName=DNS:landfall,DNS:localhost,IP:127.0.0.1' -keyout tls_key -out tls_cert 2>/dev/null
fi
chmod 0444 ./*
echo "secrets: in $(pwd)" >&2
