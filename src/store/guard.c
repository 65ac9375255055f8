/*-------------------------------------------------------------------------
 *
 * guard.c
 *		Keeps plain DML away from complete versions.
 *
 * A row written past venice is in no log, is not replayed into the next version
 * and is missing in the others: better refused than lost at the next push.  Our
 * own writers go through the table access method and fire no triggers.
 *
 * Locks: none.
 * Must not know: versions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "common/guc.h"

PG_FUNCTION_INFO_V1(venice_refuse_direct_dml);

Datum
venice_refuse_direct_dml(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", "refuse_direct_dml")));
	if (!Settings.allow_direct_dml)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot change \"%s.%s\" directly",
						get_namespace_name(RelationGetNamespace(trigger->tg_relation)),
						RelationGetRelationName(trigger->tg_relation)),
				 errdetail("The version is complete."),
				 errhint("Push a new version with venice.push or venice.start_push.")));
	PG_RETURN_POINTER(NULL);
}
