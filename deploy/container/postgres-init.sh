#!/bin/bash
# Run once by the image of PostgreSQL: the role that Landfall is, and a database that it owns.
set -euo pipefail

export PGPASSWORD
PGPASSWORD=$(cat /run/secrets/postgres_admin_password)
psql -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/postgres_password)" -U postgres -d postgres <<'SQL'
CREATE ROLE landfall LOGIN PASSWORD :'password';
CREATE DATABASE shop OWNER landfall;
SQL
