/*-------------------------------------------------------------------------
 *
 * audit.c
 *		The history of what was changed, by whom.
 *
 * A row is written in the transaction that makes the change, and by nothing
 * else: there is no change without a row, and no row without a change.  Rows are
 * never updated; maintenance deletes them by age.
 *
 * Locks: those of an INSERT.
 * Must not know: what the objects are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/audit.h"

#include "miscadmin.h"

#include "common/query.h"

void
AuditWrite(const char *action, const char *kind, const char *project, const char *name,
		   const char *owner, const Jsonb *before, const Jsonb *after)
{
	const char *role = GetUserNameFromId(GetUserId(), false);
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, role);
	QueryArgText(&args, action);
	QueryArgText(&args, kind);
	QueryArgText(&args, project);
	QueryArgText(&args, name);
	QueryArgText(&args, owner);
	QueryArgJsonb(&args, before);
	QueryArgJsonb(&args, after);
	(void) QueryRun("INSERT INTO venice.audit_entry "
					"(role_name, action, kind, project, name, owner_name, before, after) "
					"VALUES ($1::name, $2, $3, $4::name, $5, $6::name, $7, $8)", &args);
	QueryEnd(&session);
}
