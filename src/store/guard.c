/*-------------------------------------------------------------------------
 *
 * guard.c
 *		Refuses what would harm stores from outside.
 *
 * A row written past venice is in no log, is not replayed into the next version
 * and is missing in the others: better refused than lost at the next push.  Our
 * own writers go through the table access method and fire no triggers.
 *
 * A foreign server that stores are filled from is not dropped under them.  Not a
 * dependency in the catalog: CASCADE would then drop their data.
 *
 * Locks: none.
 * Must not know: versions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "common/guc.h"
#include "common/query.h"

PG_FUNCTION_INFO_V1(venice_refuse_direct_dml);
PG_FUNCTION_INFO_V1(venice_refuse_server_drop);

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
				 errhint("Write rows with put, update and delete in the store's schema, or push a new version.")));
	PG_RETURN_POINTER(NULL);
}

/*
 * venice_refuse_server_drop
 *		Event trigger at DROP SERVER, and DROP OWNED, which may drop servers too.
 */
Datum
venice_refuse_server_drop(PG_FUNCTION_ARGS)
{
	QuerySession session;
	char	   *server = NULL;
	char	   *stores = NULL;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by event trigger manager",
						"refuse_server_drop")));

	QueryBeginRegistry(&session);
	if (QueryRun("SELECT d.object_name, "
				 "pg_catalog.string_agg(pg_catalog.format('\"%s\"', s.store_name), ', ' "
				 "ORDER BY s.store_name) FROM venice.store s "
				 "JOIN pg_catalog.pg_event_trigger_dropped_objects() d "
				 "ON d.object_type = 'server' AND (d.object_name = s.server_name::text OR EXISTS ("
				 "SELECT FROM pg_catalog.jsonb_array_elements(s.options -> 'real_time_topics') t "
				 "WHERE t ->> 'server' = d.object_name)) "
				 "JOIN pg_catalog.pg_namespace n ON n.nspname = s.store_name "
				 "GROUP BY d.object_name ORDER BY 1 LIMIT 1", NULL) == 1)
	{
		server = QueryText(0, 1, session.result_context);
		stores = QueryText(0, 2, session.result_context);
	}
	QueryEnd(&session);
	if (server != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop server \"%s\" because stores are filled from it", server),
				 errdetail("Stores: %s.", stores),
				 errhint("Drop these stores first, with venice.drop_store.")));
	PG_RETURN_VOID();
}
