/*-------------------------------------------------------------------------
 *
 * project.c
 *		Projects: teams.
 *
 * A project is a label with an owner, whose members see what is in it and add to
 * it.  "default" is there without a row, and belongs to the database's owner.
 *
 * Locks: RegistryLock.
 * Must not know: what is in a project, but that there is something.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_database.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "common/compat.h"
#include "common/guc.h"
#include "common/query.h"
#include "registry/entry.h"
#include "registry/reference.h"
#include "store/arguments.h"

/* Most entries that an error names. */
#define ENTRIES_NAMED	10

PG_FUNCTION_INFO_V1(venice_create_project);
PG_FUNCTION_INFO_V1(venice_alter_project);
PG_FUNCTION_INFO_V1(venice_drop_project);

static const char *const no_options[] = {NULL};
static const char *const kept_elsewhere[] = {"owner", NULL};

static char *
database_owner(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	Oid			owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;

	ReleaseSysCache(tuple);
	return GetUserNameFromId(owner, false);
}

static bool
is_default(const char *name)
{
	return strcmp(name, DEFAULT_PROJECT) == 0;
}

/* A project's row; false when there is none, with what "default" has then. */
static bool
read_project(const char *name, char **owner, Jsonb **options)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		found;

	QueryBeginRegistry(&session);
	QueryArgText(&args, name);
	found = QueryRun("SELECT owner_name::text, options FROM venice.project "
					 "WHERE project = $1::name", &args) == 1;
	if (found)
	{
		*owner = QueryText(0, 1, session.result_context);
		*options = QueryJsonb(0, 2, session.result_context);
	}
	QueryEnd(&session);
	if (!found)
	{
		*owner = database_owner();
		*options = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	}
	return found;
}

/* The same of the one that argument 0 names and the current user owns. */
static bool
owned_project(const char *name, char **owner, Jsonb **options)
{
	bool		found = read_project(name, owner, options);

	if (!is_default(name))
		RegistryCheckProject(name);
	else
		RegistryCheckOwner("project", name, *owner);
	return found;
}

static void
write_project(const char *name, const char *owner, const Jsonb *options)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, name);
	QueryArgText(&args, owner);
	QueryArgJsonb(&args, options);
	(void) QueryRun("INSERT INTO venice.project (project, owner_name, options) "
					"VALUES ($1::name, $2::name, $3) ON CONFLICT (project) "
					"DO UPDATE SET owner_name = EXCLUDED.owner_name, options = EXCLUDED.options",
					&args);
	QueryEnd(&session);
}

/*
 * venice_create_project
 *		create_project(project, owner, options).
 */
Datum
venice_create_project(PG_FUNCTION_ARGS)
{
	char	   *name = ArgumentText(fcinfo, 0, "project", true);
	char	   *owner = PG_ARGISNULL(1) ? NULL : NameStr(*PG_GETARG_NAME(1));
	Jsonb	   *options = ArgumentOptions(fcinfo, 2);
	char	   *other_owner;
	Jsonb	   *other_options;
	AuditChange change;

	RegistryLock(fcinfo);
	RegistryCheckName("project", name);
	RegistryCheckOptions(options, no_options, NULL);
	if (owner != NULL)
		check_can_set_role(GetUserId(), get_role_oid(owner, false));
	owner = RegistryOwner(options, owner);
	if (is_default(name) || read_project(name, &other_owner, &other_options))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("project \"%s\" already exists", name)));

	AuditBegin(&change, "project", name, name, 0);
	write_project(name, owner, EntryOptionsMerge(NULL, options, kept_elsewhere));
	AuditEnd(&change, "create");
	PG_RETURN_VOID();
}

/*
 * venice_alter_project
 *		alter_project(project, options).
 */
Datum
venice_alter_project(PG_FUNCTION_ARGS)
{
	char	   *name = ArgumentText(fcinfo, 0, "project", true);
	Jsonb	   *changes = ArgumentOptions(fcinfo, 1);
	char	   *owner;
	Jsonb	   *options;
	AuditChange change;

	RegistryLock(fcinfo);
	(void) owned_project(name, &owner, &options);
	RegistryCheckOptions(changes, no_options, NULL);

	AuditBegin(&change, "project", name, name, 0);
	write_project(name, RegistryOwner(changes, owner),
				  EntryOptionsMerge(options, changes, kept_elsewhere));
	AuditEnd(&change, "alter");
	PG_RETURN_VOID();
}

/* The first few entries of a project, in words; NULL when it is empty. */
static char *
list_entries(const char *project)
{
	QuerySession session;
	QueryArgs	args = {0};
	uint64		found;
	StringInfoData list;

	initStringInfo(&list);
	QueryBeginRegistry(&session);
	QueryArgText(&args, project);
	QueryArgInt4(&args, ENTRIES_NAMED + 1);
	found = QueryRun("SELECT pg_catalog.replace(pg_catalog.replace(kind, 'on_', 'on-'), '_', ' '), name || COALESCE('@' || view_version, '') "
					 "FROM venice_internal.definition "
					 "WHERE project = $1::name AND kind <> 'project' "
					 "ORDER BY kind, name, view_version LIMIT $2", &args);
	for (uint64 i = 0; i < Min(found, ENTRIES_NAMED); i++)
		appendStringInfo(&list, "%s%s \"%s\"", i > 0 ? ", " : "",
						 QueryText(i, 1, CurrentMemoryContext),
						 QueryText(i, 2, CurrentMemoryContext));
	QueryEnd(&session);
	if (found > ENTRIES_NAMED)
		appendStringInfoString(&list, ", and others");
	return found > 0 ? list.data : NULL;
}

/* Drop what is in a project: first what uses, then what is used. */
static void
drop_entries(const char *project)
{
	for (;;)
	{
		QuerySession session;
		QueryArgs	args = {0};
		Reference	reference = {0};
		char	   *kind = NULL;

		QueryBeginRegistry(&session);
		QueryArgText(&args, project);
		if (QueryRun("SELECT kind, name::text, view_version FROM venice_internal.definition "
					 "WHERE project = $1::name AND kind <> 'project' ORDER BY pg_catalog.array_position("
					 "'{service,on_demand_view,feature_view,label_view,source,entity}'::text[], kind) "
					 "LIMIT 1", &args) > 0)
		{
			kind = QueryText(0, 1, session.result_context);
			reference.project = pstrdup(project);
			reference.name = QueryText(0, 2, session.result_context);
			reference.view_version = QueryInt4(0, 3, 0);
		}
		QueryEnd(&session);
		if (kind == NULL)
			return;
		RegistryDrop(kind, &reference);
	}
}

/*
 * venice_drop_project
 *		drop_project(project, force).
 */
Datum
venice_drop_project(PG_FUNCTION_ARGS)
{
	char	   *name = ArgumentText(fcinfo, 0, "project", true);
	char	   *owner;
	char	   *entries;
	Jsonb	   *options;
	QuerySession session;
	QueryArgs	args = {0};
	AuditChange change;

	RegistryLock(fcinfo);
	(void) owned_project(name, &owner, &options);
	if (is_default(name))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("project \"%s\" cannot be dropped", name),
				 errdetail("It is there in every database.")));
	if (!PG_ARGISNULL(1) && PG_GETARG_BOOL(1))
		drop_entries(name);
	entries = list_entries(name);
	if (entries != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop project \"%s\" because there are entries in it", name),
				 errdetail("Entries: %s.", entries),
				 errhint("Drop them first, or drop them too with venice.drop_project(%s, force => true).",
						 quote_literal_cstr(name))));

	AuditBegin(&change, "project", name, name, 0);
	QueryBeginRegistry(&session);
	QueryArgText(&args, name);
	(void) QueryRun("DELETE FROM venice.project WHERE project = $1::name", &args);
	QueryEnd(&session);
	AuditEnd(&change, "drop");
	PG_RETURN_VOID();
}
