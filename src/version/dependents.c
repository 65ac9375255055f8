/*-------------------------------------------------------------------------
 *
 * dependents.c
 *		What others have made of a version, and that does not follow a swap.
 *
 * Whatever knows a table by its OID stays with the version that it was made
 * over, and keeps that from being dropped.  Nothing is written down about it:
 * pg_depend knows, and venice_internal.dependents reads it, for this file as for
 * venice.swap_dependents.
 *
 * Locks: none.
 * Must not know: how a view is made to follow.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/dependents.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "common/query.h"

/* A condition on venice_internal.dependents; in words, the first ten of those that meet it. */
#define DEPENDENTS_QUERY(condition) \
	"SELECT pg_catalog.array_to_string((pg_catalog.array_agg(d.kind || ' ' || d.object " \
	"ORDER BY d.kind, d.object))[1:10], ', ') || CASE WHEN pg_catalog.count(*) > 10 " \
	"THEN ' and ' || pg_catalog.count(*) - 10 || ' more' ELSE '' END " \
	"FROM venice_internal.dependents($1) d WHERE " condition

static char *
dependents(const char *query, Oid records)
{
	QuerySession session;
	QueryArgs	args = {0};
	char	   *names;

	QueryBeginRegistry(&session);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(records), false);
	(void) QueryRunLatest(query, &args);
	names = QueryText(0, 1, session.result_context);
	QueryEnd(&session);
	return names;
}

char *
DependentsThatBlock(Oid records)
{
	return dependents(DEPENDENTS_QUERY("d.blocks"), records);
}

void
DependentsWarn(const Store *store)
{
	char	   *names = dependents(DEPENDENTS_QUERY("NOT d.follows"),
								   get_relname_relid("records", store->schema_oid));

	if (names != NULL)
		ereport(WARNING,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("objects that depend on store \"%s\" stay behind at the swap", store->name),
				 errdetail("With the version that is current now stay: %s.", names),
				 errhint("SELECT * FROM venice.swap_dependents WHERE store = %s says why.",
						 quote_literal_cstr(store->name))));
}
