-- Run once by the database server of the profile `postgres`, before it listens: the role that owns the tables, and the
-- one the portal works as, which can only add to the audit log.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
\set owner_password `cat /run/secrets/database_owner_password`
\set password `cat /run/secrets/database_password`
CREATE ROLE portal_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE portal LOGIN PASSWORD :'password';
CREATE DATABASE portal OWNER portal_owner;
REVOKE ALL ON DATABASE portal FROM PUBLIC;
GRANT CONNECT ON DATABASE portal TO portal;
