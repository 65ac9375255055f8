/*-------------------------------------------------------------------------
 *
 * entity.c
 *		Entities: what features are about.
 *
 * An entity's keys become those of the stores of all views that are about it, so
 * that they do not change while there is one.
 *
 * Locks: RegistryLock.
 * Must not know: what a view is made of.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/entity.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "catalog/store.h"
#include "common/query.h"
#include "registry/entry.h"
#include "registry/reference.h"
#include "store/arguments.h"
#include "store/definition.h"

PG_FUNCTION_INFO_V1(venice_create_entity);
PG_FUNCTION_INFO_V1(venice_alter_entity);
PG_FUNCTION_INFO_V1(venice_drop_entity);

static const char *const no_options[] = {NULL};
static const char *const alter_options[] = {"keys", NULL};
static const char *const kept_elsewhere[] = {"keys", "owner", NULL};

static List *
text_list(int column, uint64 rows, MemoryContext context)
{
	List	   *list = NIL;

	for (uint64 i = 0; i < rows; i++)
	{
		char	   *text = QueryText(i, column, context);
		MemoryContext old = MemoryContextSwitchTo(context);

		list = lappend(list, text);
		MemoryContextSwitchTo(old);
	}
	return list;
}

Entity *
EntityLookup(const char *text, bool missing_ok)
{
	QuerySession session;
	QueryArgs	args = {0};
	Reference	reference;
	char	   *project;
	Entity	   *entity;
	uint64		rows;

	ReferenceParse(text, &reference);
	project = reference.view_version == 0 && reference.feature == NULL ?
		RegistryFindProject("entities", &reference) : NULL;
	if (project == NULL)
	{
		if (missing_ok)
			return NULL;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("entity \"%s\" does not exist", text),
				 errhint("SELECT project, name FROM venice.entities lists the entities that you may see.")));
	}

	entity = palloc0(sizeof(Entity));
	entity->project = project;
	entity->name = reference.name;
	QueryBeginRegistry(&session);
	QueryArgText(&args, project);
	QueryArgText(&args, entity->name);
	rows = QueryRun("SELECT e.owner_name::text, e.options, k.name::text, k.type FROM venice.entity e, "
					"ROWS FROM (pg_catalog.unnest(e.key_names), pg_catalog.unnest(e.key_types)) "
					"WITH ORDINALITY AS k (name, type, position) "
					"WHERE e.project = $1::name AND e.entity = $2::name ORDER BY k.position", &args);
	Assert(rows > 0);
	entity->owner = QueryText(0, 1, session.result_context);
	entity->options = QueryJsonb(0, 2, session.result_context);
	entity->key_names = text_list(3, rows, session.result_context);
	entity->key_types = text_list(4, rows, session.result_context);
	QueryEnd(&session);
	return entity;
}

/* Keys as they are written in a column list. */
static void
parse_keys(const char *keys, Entity *entity)
{
	ListCell   *cell;

	entity->key_names = NIL;
	entity->key_types = NIL;
	foreach(cell, DefinitionParse(keys, true, "keys"))
	{
		StoreColumn *column = lfirst(cell);
		ListCell   *other;

		foreach(other, entity->key_names)
			if (strcmp(lfirst(other), column->name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("column \"%s\" specified more than once", column->name)));
		entity->key_names = lappend(entity->key_names, column->name);
		entity->key_types = lappend(entity->key_types, column->type_name);
	}
}

static void
arg_text_array(QueryArgs *args, const List *texts)
{
	Datum	   *elements = palloc(list_length(texts) * sizeof(Datum));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, texts)
		elements[count++] = CStringGetTextDatum(lfirst(cell));
	QueryArgDatum(args, TEXTARRAYOID,
				  PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false,
												  TYPALIGN_INT)), false);
}

static void
write_entity(const Entity *entity)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, entity->project);
	QueryArgText(&args, entity->name);
	QueryArgText(&args, entity->owner);
	arg_text_array(&args, entity->key_names);
	arg_text_array(&args, entity->key_types);
	QueryArgJsonb(&args, entity->options);
	(void) QueryRun("INSERT INTO venice.entity (project, entity, owner_name, key_names, key_types, options) "
					"VALUES ($1::name, $2::name, $3::name, $4::name[], $5, $6) "
					"ON CONFLICT (project, entity) DO UPDATE SET owner_name = EXCLUDED.owner_name, "
					"key_names = EXCLUDED.key_names, key_types = EXCLUDED.key_types, "
					"options = EXCLUDED.options", &args);
	QueryEnd(&session);
}

/*
 * venice_create_entity
 *		create_entity(entity, keys, options).
 */
Datum
venice_create_entity(PG_FUNCTION_ARGS)
{
	char	   *text = ArgumentText(fcinfo, 0, "entity", true);
	char	   *keys = ArgumentText(fcinfo, 1, "keys", true);
	Jsonb	   *options = ArgumentOptions(fcinfo, 2);
	Entity		entity = {0};
	Reference	reference;
	AuditChange change;

	RegistryLock(fcinfo);
	RegistryParseNew("entity", text, &reference);
	RegistryCheckOptions(options, no_options, "keys");
	entity.project = reference.project;
	entity.name = reference.name;
	entity.owner = RegistryOwner(options, NULL);
	entity.options = EntryOptionsMerge(NULL, options, kept_elsewhere);
	parse_keys(keys, &entity);

	AuditBegin(&change, "entity", entity.project, entity.name, 0);
	if (change.before != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("entity \"%s\" already exists", text)));
	write_entity(&entity);
	AuditEnd(&change, "create");
	PG_RETURN_VOID();
}

static bool
same_texts(const List *a, const List *b)
{
	if (list_length(a) != list_length(b))
		return false;
	for (int i = 0; i < list_length(a); i++)
		if (strcmp(list_nth(a, i), list_nth(b, i)) != 0)
			return false;
	return true;
}

/* The entity of argument 0, whose owner the current user is. */
static Entity *
owned_entity(FunctionCallInfo fcinfo)
{
	char	   *text = ArgumentText(fcinfo, 0, "entity", true);
	Entity	   *entity;

	RegistryLock(fcinfo);
	entity = EntityLookup(text, false);
	RegistryCheckOwner("entity", text, entity->owner);
	return entity;
}

/*
 * venice_alter_entity
 *		alter_entity(entity, options).
 */
Datum
venice_alter_entity(PG_FUNCTION_ARGS)
{
	Entity	   *entity = owned_entity(fcinfo);
	Jsonb	   *changes = ArgumentOptions(fcinfo, 1);
	char	   *keys;
	AuditChange change;

	RegistryCheckOptions(changes, alter_options, NULL);
	keys = OptionString(changes, "keys");
	if (keys != NULL)
	{
		List	   *names = entity->key_names;
		List	   *types = entity->key_types;
		List	   *users = RegistryUsers("entities", entity->project, entity->name);

		parse_keys(keys, entity);
		if (users != NIL && (!same_texts(names, entity->key_names) ||
							 !same_texts(types, entity->key_types)))
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("change to the keys of entity \"%s\" is breaking", entity->name),
					 errdetail("Used by: %s.", RegistryUserList(users)),
					 errhint("Make another entity, and views on it, and move their readers.")));
	}

	AuditBegin(&change, "entity", entity->project, entity->name, 0);
	entity->owner = RegistryOwner(changes, entity->owner);
	entity->options = EntryOptionsMerge(entity->options, changes, kept_elsewhere);
	write_entity(entity);
	AuditEnd(&change, "alter");
	PG_RETURN_VOID();
}

/*
 * venice_drop_entity
 *		drop_entity(entity, force).
 */
Datum
venice_drop_entity(PG_FUNCTION_ARGS)
{
	Entity	   *entity = owned_entity(fcinfo);
	QuerySession session;
	QueryArgs	args = {0};
	AuditChange change;

	RegistryDropUsers("entity", "entities", entity->project, entity->name,
					  !PG_ARGISNULL(1) && PG_GETARG_BOOL(1));
	AuditBegin(&change, "entity", entity->project, entity->name, 0);
	QueryBeginRegistry(&session);
	QueryArgText(&args, entity->project);
	QueryArgText(&args, entity->name);
	(void) QueryRun("DELETE FROM venice.entity WHERE project = $1::name AND entity = $2::name", &args);
	QueryEnd(&session);
	AuditEnd(&change, "drop");
	PG_RETURN_VOID();
}
