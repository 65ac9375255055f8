-- Schemas.  Made here and not by the control file, so that a squatted schema makes the installation fail instead of
-- being adopted, and so that both are members of the extension.
CREATE SCHEMA venice;
COMMENT ON SCHEMA venice IS 'Stores, versions and pushes: the functions and views for people.';
GRANT USAGE ON SCHEMA venice TO PUBLIC;

CREATE SCHEMA venice_internal;
COMMENT ON SCHEMA venice_internal IS 'What generated functions, views and triggers call. Every function checks rights itself.';
GRANT USAGE ON SCHEMA venice_internal TO PUBLIC;
