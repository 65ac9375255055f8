/*-------------------------------------------------------------------------
 *
 * entry.c
 *		What all entries of the registry have: a lock, an owner, a project that
 *		is looked in, options, and a history of changes.
 *
 * Owners are kept by name, because a dump restores names; a role that is gone
 * leaves its entries to the database's owner.  What somebody may not see does
 * not exist for him: errors say so.
 *
 * Locks: RegistryLock is a lock on an object of class venice.project.
 * Must not know: the kinds of entries.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/entry.h"

#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "catalog/audit.h"
#include "common/compat.h"
#include "common/guc.h"
#include "common/item_list.h"
#include "common/query.h"
#include "common/store_options.h"
#include "store/arguments.h"

PG_FUNCTION_INFO_V1(venice_is_entry_member);
PG_FUNCTION_INFO_V1(venice_can_read);

void
RegistryLock(FunctionCallInfo fcinfo)
{
	Oid			schema = get_namespace_oid("venice", false);
	QuerySession session;

	FunctionRequireWritable(fcinfo);
	LockDatabaseObject(get_relname_relid("project", schema), 0, 0, ExclusiveLock);
	QueryBeginRegistry(&session);
	(void) QueryRun("UPDATE venice.registry_change SET changes = changes + 1", NULL);
	QueryEnd(&session);
	/* Backends keep what they have worked out of the registry until this message comes. */
	CacheInvalidateRelcacheByRelid(get_relname_relid("registry_change", schema));
}

bool
RegistryHasMember(const char *owner, Oid role)
{
	Oid			owner_oid = owner != NULL ? get_role_oid(owner, true) : InvalidOid;

	return OidIsValid(owner_oid) ? has_privs_of_role(role, owner_oid) :
		object_ownercheck(DatabaseRelationId, MyDatabaseId, role);
}

bool
RegistryCanRead(Oid records, Oid role)
{
	Oid			schema = get_rel_namespace(records);
	bool		is_missing = false;

	return OidIsValid(schema) &&
		object_aclcheck(NamespaceRelationId, schema, role, ACL_USAGE) == ACLCHECK_OK &&
		(pg_class_aclcheck_ext(records, role, ACL_SELECT, &is_missing) == ACLCHECK_OK ||
		 (!is_missing &&
		  pg_attribute_aclcheck_all(records, role, ACL_SELECT, ACLMASK_ANY) == ACLCHECK_OK));
}

/*
 * venice_is_entry_member
 *		is_entry_member(owner [, member]): for the views.  NULL: of the default project's owner.
 */
Datum
venice_is_entry_member(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(RegistryHasMember(PG_ARGISNULL(0) ? NULL : NameStr(*PG_GETARG_NAME(0)),
									 PG_NARGS() > 1 ? PG_GETARG_OID(1) : GetUserId()));
}

/*
 * venice_can_read
 *		can_read(records [, member]): for the views.
 */
Datum
venice_can_read(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(RegistryCanRead(PG_GETARG_OID(0),
								   PG_NARGS() > 1 ? PG_GETARG_OID(1) : GetUserId()));
}

void
RegistryCheckProject(const char *project)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		found;

	if (strcmp(project, DEFAULT_PROJECT) == 0)
		return;
	QueryBegin(&session, GetUserId());
	QueryArgText(&args, project);
	found = QueryRun("SELECT FROM venice.projects WHERE name = $1::name", &args) > 0;
	QueryEnd(&session);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("project \"%s\" does not exist", project),
				 errhint("SELECT name FROM venice.projects lists the projects that you may use.")));
}

void
RegistryCheckOwner(const char *what, const char *name, const char *owner)
{
	if (!RegistryHasMember(owner, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of %s \"%s\"", what, name)));
}

char *
RegistryOwner(const Jsonb *options, const char *otherwise)
{
	char	   *name = OptionString(options, "owner");
	Oid			owner;

	if (name == NULL)
		return otherwise != NULL ? pstrdup(otherwise) : GetUserNameFromId(GetUserId(), false);
	owner = get_role_oid(name, false);
	check_can_set_role(GetUserId(), owner);
	return name;
}

void
RegistryParseNew(const char *what, const char *text, Reference *reference)
{
	ReferenceParse(text, reference);
	if (reference->view_version != 0 || reference->feature != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid %s name: \"%s\"", what, text),
				 errdetail("A new %s is [project.]name.", what)));
	if (reference->project == NULL)
		reference->project = pstrdup(CurrentProject());
	RegistryCheckName(what, reference->name);
	RegistryCheckProject(reference->project);
}

char *
RegistryFindProject(const char *view, const Reference *reference)
{
	QuerySession session;
	QueryArgs	args = {0};
	char	   *project = NULL;

	QueryBegin(&session, GetUserId());
	QueryArgText(&args, reference->name);
	QueryArgText(&args, reference->project != NULL ? reference->project : CurrentProject());
	QueryArgText(&args, reference->project != NULL ? reference->project : DEFAULT_PROJECT);
	if (QueryRun(psprintf("SELECT project::text FROM venice.%s WHERE name = $1::name "
						  "AND project IN ($2::name, $3::name) ORDER BY project <> $2::name LIMIT 1",
						  view), &args) > 0)
		project = QueryText(0, 1, session.result_context);
	QueryEnd(&session);
	return project;
}

List *
RegistryUsers(const char *column, const char *project, const char *name)
{
	QuerySession session;
	QueryArgs	args = {0};
	List	   *users = NIL;
	uint64		rows;

	QueryBeginRegistry(&session);
	QueryArgText(&args, psprintf("%s.%s", project, name));
	rows = QueryRun(psprintf("SELECT kind || '_view', project::text, view_name::text, view_version "
							 "FROM venice.feature_view WHERE ARRAY[$1] && (ARRAY[]::text[] || %s) "
							 "ORDER BY project, view_name, view_version", column), &args);
	for (uint64 i = 0; i < rows; i++)
	{
		RegistryUser *user = MemoryContextAllocZero(session.result_context, sizeof(RegistryUser));
		MemoryContext old;

		user->kind = QueryText(i, 1, session.result_context);
		user->reference.project = QueryText(i, 2, session.result_context);
		user->reference.name = QueryText(i, 3, session.result_context);
		user->reference.view_version = QueryInt4(i, 4, 0);
		old = MemoryContextSwitchTo(session.result_context);
		users = lappend(users, user);
		MemoryContextSwitchTo(old);
	}
	QueryEnd(&session);
	return users;
}

char *
RegistryUserList(const List *users)
{
	StringInfoData list;
	int			hidden = 0;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, users)
	{
		Reference	reference = ((RegistryUser *) lfirst(cell))->reference;

		if (RegistryFindProject("feature_views", &reference) == NULL)
		{
			hidden++;
			continue;
		}
		if (strcmp(reference.project, DEFAULT_PROJECT) == 0)
			reference.project = NULL;
		ItemListAppend(&list, "%s", ReferenceText(&reference));
	}
	if (hidden > 0)
		appendStringInfo(&list, "%s%d of others", list.len > 0 ? ", " : "", hidden);
	return list.data;
}

static void
check_tags(const Jsonb *options)
{
	JsonbValue	buffer;
	const JsonbValue *tags;
	JsonbIterator *iterator;
	JsonbValue	token;
	JsonbIteratorToken kind;

	tags = getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &options->root), "tags",
										strlen("tags"), &buffer);
	if (tags == NULL || tags->type == jbvNull)
		return;
	if (tags->type != jbvBinary || !JsonContainerIsObject(tags->val.binary.data))
		OptionRefuse(options, "tags", "an object of strings");
	iterator = JsonbIteratorInit(tags->val.binary.data);
	while ((kind = JsonbIteratorNext(&iterator, &token, true)) != WJB_DONE)
		if (kind == WJB_VALUE && token.type != jbvString)
			OptionRefuse(options, "tags", "an object of strings");
}

static int
compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

void
RegistryCheckOptions(const Jsonb *options, const char *const *valid, const char *arguments)
{
	static const char *const common[] = {"description", "owner", "tags"};
	int			count = 0;
	const char **all;

	while (valid[count] != NULL)
		count++;
	all = palloc0((count + lengthof(common) + 1) * sizeof(char *));
	memcpy(all, valid, count * sizeof(char *));
	memcpy(all + count, common, sizeof(common));
	qsort(all, count + lengthof(common), sizeof(char *), compare_strings);
	OptionsCheckKeys(options, all, arguments);
	(void) OptionString(options, "description");
	check_tags(options);
}

Jsonb *
RegistryWithout(const Jsonb *options, const char *const *keys)
{
	Datum		elements[16];
	ArrayType  *array;
	int			count = 0;

	for (; keys[count] != NULL; count++)
	{
		Assert(count < lengthof(elements));
		elements[count] = CStringGetTextDatum(keys[count]);
	}
	array = construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT);
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_delete_array, PointerGetDatum(options),
											  PointerGetDatum(array)));
}

Jsonb *
EntryOptionsMerge(const Jsonb *options, const Jsonb *changes, const char *const *elsewhere)
{
	if (options == NULL)
		options = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	return StoreOptionsMerge(options, RegistryWithout(changes, elsewhere));
}

void
RegistryDrop(const char *kind, const Reference *reference)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBegin(&session, GetUserId());
	QueryArgText(&args, ReferenceText(reference));
	(void) QueryRun(psprintf("SELECT venice.drop_%s($1, force => true)", kind), &args);
	QueryEnd(&session);
}

void
RegistryDropUsers(const char *what, const char *column, const char *project, const char *name,
				  bool force)
{
	List	   *users;

	/* One takes others along, so that they are looked for again. */
	while ((users = RegistryUsers(column, project, name)) != NIL)
	{
		const RegistryUser *first = linitial(users);

		if (!force || RegistryFindProject("feature_views", &first->reference) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot drop %s \"%s\" because views use it", what, name),
					 errdetail("Used by: %s.", RegistryUserList(users)),
					 force ? errhint("Those of others are theirs to drop.") :
					 errhint("Drop them first, or drop them too with force => true.")));
		RegistryDrop(first->kind, &first->reference);
	}
}

/* The entry as the definitions have it now; NULL when there is none. */
static Jsonb *
read_definition(const AuditChange *change, char **owner)
{
	QuerySession session;
	QueryArgs	args = {0};
	Jsonb	   *definition = NULL;

	QueryBeginRegistry(&session);
	QueryArgText(&args, change->kind);
	QueryArgText(&args, change->project);
	QueryArgText(&args, change->name);
	QueryArgInt4(&args, change->view_version);
	if (QueryRun("SELECT definition, owner_name::text FROM venice_internal.definition "
				 "WHERE kind = $1 AND project = $2::name AND name = $3::name "
				 "AND ($4 = 0 OR view_version = $4)", &args) > 0)
	{
		definition = QueryJsonb(0, 1, session.result_context);
		*owner = QueryText(0, 2, session.result_context);
	}
	QueryEnd(&session);
	return definition;
}

void
AuditBegin(AuditChange *change, const char *kind, const char *project, const char *name,
		   int view_version)
{
	change->kind = kind;
	change->project = project;
	change->name = name;
	change->view_version = view_version;
	change->owner = NULL;
	change->before = read_definition(change, &change->owner);
}

void
AuditEnd(const AuditChange *change, const char *action)
{
	char	   *owner = change->owner;
	Jsonb	   *after = read_definition(change, &owner);
	const char *name = change->view_version == 0 ? change->name :
		psprintf("%s@%d", change->name, change->view_version);

	if (change->before != NULL && after != NULL &&
		VARSIZE(change->before) == VARSIZE(after) &&
		memcmp(change->before, after, VARSIZE(after)) == 0)
		return;
	if (change->before != NULL || after != NULL)
		AuditWrite(action, change->kind, change->project, name, owner, change->before, after);
}
