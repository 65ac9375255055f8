/*-------------------------------------------------------------------------
 *
 * clone.c
 *		Indexes, constraints and triggers that users put on the current version.
 *
 * Each is deparsed by the server's own functions, parsed again, pointed at the
 * other table, and executed: no text of ours is edited, so that no name can be
 * mistaken for syntax.
 *
 * Locks: those of the DDL on the new table, which nobody else uses yet;
 * AccessShareLock on the old one.
 * Must not know: what a version is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/clone.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"

#include "common/query.h"

/* Execute one statement that defines something on a table, on another table instead. */
static void
execute_on(const char *sql, Oid relation)
{
	RawStmt    *raw = linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT));
	Node	   *node = raw->stmt;
	RangeVar   *target;
	PlannedStmt *statement = makeNode(PlannedStmt);

	if (IsA(node, IndexStmt))
		target = castNode(IndexStmt, node)->relation;
	else if (IsA(node, CreateTrigStmt))
		target = castNode(CreateTrigStmt, node)->relation;
	else
		target = castNode(AlterTableStmt, node)->relation;
	target->schemaname = get_namespace_name(get_rel_namespace(relation));
	target->relname = get_rel_name(relation);

	statement->commandType = CMD_UTILITY;
	statement->utilityStmt = node;
	ProcessUtility(statement, sql, false, PROCESS_UTILITY_SUBCOMMAND, NULL, NULL, None_Receiver,
				   NULL);
	CommandCounterIncrement();
}

void
CloneUserObjects(Oid from, Oid to)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *statements = NIL;
	ListCell   *cell;
	QueryArgs	args = {0};
	uint64		rows;

	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(from), false);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(to), false);
	SPI_connect();

	/*
	 * Constraints bring their own indexes; the primary key and NOT NULL are the
	 * store's, the seal is ours, and an internal trigger belongs to a constraint.
	 * What the owner has already made on the new table under the same name stays.
	 */
	rows = QueryRunLatest("SELECT pg_catalog.pg_get_indexdef(i.indexrelid) FROM pg_catalog.pg_index i "
					"JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid "
					"WHERE i.indrelid = $1 AND i.indisvalid AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint c "
					"WHERE c.conindid = i.indexrelid AND c.conrelid = $1 AND c.contype IN ('p', 'u', 'x')) "
					"AND NOT EXISTS (SELECT FROM pg_catalog.pg_index j JOIN pg_catalog.pg_class jc ON jc.oid = j.indexrelid "
					"WHERE j.indrelid = $2 AND jc.relname = ic.relname) "
					"UNION ALL "
					"SELECT pg_catalog.format('ALTER TABLE public.records ADD CONSTRAINT %I %s', c.conname, "
					"pg_catalog.pg_get_constraintdef(c.oid)) FROM pg_catalog.pg_constraint c "
					"WHERE c.conrelid = $1 AND c.contype IN ('c', 'u', 'x', 'f') AND c.conparentid = 0 "
					"AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint d "
					"WHERE d.conrelid = $2 AND d.conname = c.conname) "
					"UNION ALL "
					"SELECT pg_catalog.pg_get_triggerdef(t.oid) FROM pg_catalog.pg_trigger t "
					"WHERE t.tgrelid = $1 AND NOT t.tgisinternal AND t.tgname <> 'venice_seal' "
					"AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger u "
					"WHERE u.tgrelid = $2 AND u.tgname = t.tgname)", &args);
	for (uint64 i = 0; i < rows; i++)
	{
		char	   *sql = QueryText(i, 1, caller);
		MemoryContext spi = MemoryContextSwitchTo(caller);

		statements = lappend(statements, sql);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();

	foreach(cell, statements)
		execute_on(lfirst(cell), to);
}
