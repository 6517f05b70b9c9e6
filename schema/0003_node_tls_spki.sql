-- What a node says that its TLS shows: agents that see another key know that somebody is in between.

alter table node add column tls_spki jsonb; -- ["base64 of the SHA-256 of its SubjectPublicKeyInfo"]; null: nothing said
