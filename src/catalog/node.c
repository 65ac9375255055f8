/*-------------------------------------------------------------------------
 *
 * node.c
 *		Is this the server and database that ingestion was enabled on?
 *
 * A dump holds the registry but not this row, so that a restored node does not
 * consume beside the one that it was taken from until it is told to.
 *
 * Locks: those of the statements.
 * Must not know: what ingestion is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/node.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"

#include "common/query.h"

PG_FUNCTION_INFO_V1(venice_node_is_known);
PG_FUNCTION_INFO_V1(venice_system_identifier);

static void
identify(QueryArgs *args)
{
	QueryArgInt8(args, (int64) GetSystemIdentifier());
	QueryArgDatum(args, OIDOID, ObjectIdGetDatum(MyDatabaseId), false);
}

bool
NodeIsKnown(void)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		known;

	QueryBeginRegistry(&session);
	identify(&args);
	known = QueryRead("SELECT FROM venice.node WHERE system_identifier = $1 AND database_oid = $2",
					  &args) > 0;
	QueryEnd(&session);
	return known;
}

void
NodeEnable(void)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	(void) QueryRun("DELETE FROM venice.node", NULL);
	identify(&args);
	(void) QueryRun("INSERT INTO venice.node (system_identifier, database_oid) VALUES ($1, $2)",
					&args);
	QueryEnd(&session);
}

Datum
venice_node_is_known(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(NodeIsKnown());
}

/*
 * venice_system_identifier
 *		system_identifier(): goes with OIDs of schemas that are kept in tables, which mean
 *		something else after pg_upgrade.
 */
Datum
venice_system_identifier(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) GetSystemIdentifier());
}
