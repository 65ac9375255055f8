-- What depends on a version's table, without being part of it.
CREATE FUNCTION venice_internal.dependents(records oid)
    RETURNS TABLE (kind text, object text, relation oid, follows boolean, blocks boolean, reason text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
    BEGIN ATOMIC
        WITH version (relation, namespace, row_type) AS (
            SELECT c.oid, c.relnamespace, c.reltype FROM pg_catalog.pg_class c WHERE c.oid = $1
        ), part (classid, objid, moves) AS (
            -- What dropping the version would drop.  Only the functions move on when it is swapped out.
            SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, v.relation, false FROM version v
            UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, v.row_type, false FROM version v
            UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.typarray, false
              FROM version v JOIN pg_catalog.pg_type t ON t.oid = v.row_type
            UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid, false
              FROM version v JOIN pg_catalog.pg_index i ON i.indrelid = v.relation
            UNION ALL SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, c.oid, false
              FROM version v JOIN pg_catalog.pg_constraint c ON c.conrelid = v.relation
            UNION ALL SELECT d.classid, d.objid, true
              FROM version v JOIN pg_catalog.pg_depend d
                   ON d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = v.namespace
             WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
        ), dependent AS (
            SELECT d.classid, d.objid, d.objsubid, pg_catalog.bool_and(p.moves) AS moves,
                   pg_catalog.bool_or(p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND p.objid = $1) AS reads,
                   CASE WHEN r.rulename = '_RETURN' THEN r.ev_class END AS view
              FROM part p
              JOIN pg_catalog.pg_depend d ON d.refclassid = p.classid AND d.refobjid = p.objid AND d.deptype = 'n'
              LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid
              LEFT JOIN pg_catalog.pg_constraint c ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND c.oid = d.objid
              LEFT JOIN pg_catalog.pg_policy y ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND y.oid = d.objid
              LEFT JOIN pg_catalog.pg_trigger t ON d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = d.objid
             -- Its own rules, constraints, policies and triggers depend on it too.
             WHERE COALESCE(r.ev_class, c.conrelid, y.polrelid, t.tgrelid) IS DISTINCT FROM $1
               AND d.classid <> 'pg_catalog.pg_publication_rel'::pg_catalog.regclass
             GROUP BY d.classid, d.objid, d.objsubid, r.rulename, r.ev_class
        )
        SELECT k.kind,
               i.identity,
               d.view,
               d.moves OR d.reads AND k.kind = 'view' AND c.relpersistence <> 't',
               true,
               CASE k.kind
                   WHEN 'view' THEN CASE WHEN c.relpersistence = 't' THEN 'is temporary: only its own session can make it again'
                                         ELSE 'reads this version' END
                   WHEN 'materialized view' THEN 'holds rows of this version; a refresh reads this version again'
                   WHEN 'foreign key' THEN 'refers to the table of this version'
                   WHEN 'policy' THEN 'decides by this version; over a view it would decide by the current one'
                   WHEN 'function' THEN 'has a body or signature bound to this version'
                   ELSE 'is bound to this version' END
          FROM dependent d
          LEFT JOIN pg_catalog.pg_class c ON c.oid = d.view
          LEFT JOIN pg_catalog.pg_constraint f
               ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND f.oid = d.objid AND f.contype = 'f'
         CROSS JOIN LATERAL pg_catalog.pg_identify_object(
               CASE WHEN d.view IS NULL THEN d.classid ELSE 'pg_catalog.pg_class'::pg_catalog.regclass END,
               COALESCE(d.view, d.objid), d.objsubid) i
         CROSS JOIN LATERAL (SELECT CASE WHEN f.oid IS NOT NULL THEN 'foreign key' ELSE i.type END AS kind) k
        UNION ALL
        SELECT 'publication', pg_catalog.quote_ident(p.pubname), NULL, false, false, 'publishes the table of this version only'
          FROM version v
          JOIN pg_catalog.pg_publication_rel r ON r.prrelid = v.relation
          JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
        UNION ALL
        SELECT 'publication', pg_catalog.quote_ident(p.pubname), NULL, false, false, 'publishes the schema of this version only'
          FROM version v
          JOIN pg_catalog.pg_publication_namespace n ON n.pnnspid = v.namespace
          JOIN pg_catalog.pg_publication p ON p.oid = n.pnpubid
        UNION ALL
        SELECT 'security label', l.provider || ' on ' || i.identity, NULL, false, false, 'is on this version only'
          FROM version v
          JOIN pg_catalog.pg_seclabel l
               ON l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND l.objoid = v.relation
               OR l.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND l.objoid = v.namespace
         CROSS JOIN LATERAL pg_catalog.pg_identify_object(l.classoid, l.objoid, l.objsubid) i;
    END;
COMMENT ON FUNCTION venice_internal.dependents(oid) IS
    'What depends on the records of a version: whether it follows when that is swapped out, and keeps it from being dropped.';
