/*-------------------------------------------------------------------------
 *
 * plan.c
 *		Definitions as a whole: what a file would change, and changing it.
 *
 * Each object of the file is made, or altered, by the function that a person would
 * call for it, as the caller, in a subtransaction of its own; what became of it is read
 * from the registry before and after.  plan() does just that, and then takes all of it
 * back.  So a plan is what apply() does, errors and rights included, and there is no
 * second opinion on what two ways of writing mean.
 *
 * What does not find what it needs is tried again after the others: a file need not be
 * in order.
 *
 * Locks: RegistryLock, and what the functions take.
 * Must not know: how an entry is kept, or which options it has.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"

#include "common/compat.h"
#include "common/guc.h"
#include "common/query.h"
#include "common/store_options.h"
#include "common/subtransaction.h"
#include "registry/discovery.h"
#include "registry/entry.h"
#include "registry/reference.h"
#include "store/arguments.h"

PG_FUNCTION_INFO_V1(venice_plan);
PG_FUNCTION_INFO_V1(venice_apply);

#define MAX_IDENTITY 7

/*
 * A kind of entry: its section, and the arguments of venice.create_<kind> between
 * the name and the options.
 */
typedef struct EntryKind
{
	const char *name;
	const char *section;
	const char *class;			/* as in venice_internal.entries */
	bool		has_versions;
	const char *features;		/* key of what alter_ takes as an argument of its own, or NULL */
	struct
	{
		const char *key;
		const char *type;
		bool		is_required;
	}			identity[MAX_IDENTITY];
} EntryKind;

/* In the order in which they are made. */
static const EntryKind kinds[] = {
	{"project", "projects", "project", false, NULL, {{"owner", "name"}}},
	{"entity", "entities", "entity", false, NULL, {{"keys", "text", true}}},
	{"source", "sources", "source", false, NULL,
		{{"relation", "regclass"}, {"store", "text"}, {"server", "text"}, {"topic", "text"},
	{"event_time", "text"}, {"created_time", "text"}}},
	{"feature_view", "feature_views", "view", true, "features",
		{{"entities", "text[]", true}, {"source", "text", true}, {"features", "text"},
	{"ttl", "interval"}, {"online", "bool"}, {"offline", "bool"}}},
	{"label_view", "label_views", "view", true, "features",
		{{"entities", "text[]", true}, {"source", "text", true}, {"features", "text"},
	{"window_length", "interval", true}}},
	{"on_demand_view", "on_demand_views", "view", true, "expressions",
	{{"inputs", "text[]", true}, {"expressions", "text"}, {"request", "text"}}},
	{"service", "services", "service", false, "features", {{"features", "text[]", true}}}
};

/* An object of the file, or an entry that it does not mention. */
typedef struct DefinitionObject
{
	const EntryKind *kind;
	Reference	reference;		/* view_version 0: not given */
	Jsonb	   *wanted;			/* NULL: nothing */
} DefinitionObject;

/* One row of the answer. */
typedef struct PlanRow
{
	const char *action;
	const EntryKind *kind;
	char	   *name;
	char	   *detail;
	bool		breaking;
	Datum		used_by;		/* 0: none */
} PlanRow;

typedef struct PlanRun
{
	MemoryContext context;
	char	   *project;		/* of the file */
	bool		prune;
	List	   *objects;		/* of DefinitionObject, in the order of kinds */
	List	   *rows;			/* of PlanRow */
	DefinitionObject *current;
	PlanRow    *row;			/* of current, if it changed */
	bool		unchanged;		/* current is what it was: what was done to it is undone */
} PlanRun;

/* What the registry has of an object. */
typedef struct EntryState
{
	Jsonb	   *definition;		/* NULL: there is none */
	int			view_version;
	int			newest_version; /* of all view versions; 0: none */
} EntryState;

static char *
object_name(const DefinitionObject *object, const char *project)
{
	Reference	reference = object->reference;

	if (object->kind == &kinds[0] ||
		(project != NULL && strcmp(reference.project, project) == 0))
		reference.project = NULL;
	return ReferenceText(&reference);
}

static void
object_context(void *argument)
{
	const DefinitionObject *object = argument;

	errcontext("%s \"%s\" of the definition", object->kind->name, object_name(object, NULL));
}

/* Keep a value beyond the subtransaction. */
static Jsonb *
keep_jsonb(uint64 row, int column, MemoryContext context)
{
	bool		is_null;
	Datum		value = QueryDatum(row, column, &is_null);
	MemoryContext old = MemoryContextSwitchTo(context);
	Jsonb	   *copy = is_null ? NULL : DatumGetJsonbPCopy(value);

	MemoryContextSwitchTo(old);
	return copy;
}

static EntryState
read_entry(const PlanRun *run, const DefinitionObject *object)
{
	QuerySession session;
	QueryArgs	args = {0};
	EntryState	entry = {0};
	static SPIPlanPtr find = NULL;
	static SPIPlanPtr newest = NULL;

	QueryBeginRegistry(&session);
	RegistryPinFormats();
	QueryArgText(&args, object->kind->name);
	QueryArgText(&args, object->reference.project);
	QueryArgText(&args, object->reference.name);
	QueryArgInt4(&args, object->reference.view_version);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(session.user.saved_user), false);
	if (QueryRunKept(&find,
					 "SELECT d.definition, COALESCE(d.view_version, 0) "
					 "FROM venice_internal.entries($5) AS e "
					 "JOIN venice_internal.definition AS d ON d.kind = e.kind AND d.project = e.project "
					 "AND d.name = e.entry AND COALESCE(d.view_version, 0) = e.number "
					 "WHERE e.kind = $1 AND e.project = $2::name AND e.entry = $3::name "
					 "AND ($4 = 0 OR e.number = $4) ORDER BY e.is_deprecated, e.number DESC LIMIT 1",
					 &args) > 0)
	{
		entry.definition = keep_jsonb(0, 1, run->context);
		entry.view_version = QueryInt4(0, 2, 0);
	}
	if (object->kind->has_versions)
	{
		args.count = 3;
		(void) QueryRunKept(&newest,
							"SELECT pg_catalog.max(view_version) FROM venice.feature_view "
							"WHERE kind || '_view' = $1 AND project = $2::name AND view_name = $3::name",
							&args);
		entry.newest_version = QueryInt4(0, 1, 0);
	}
	QueryEnd(&session);
	return entry;
}

/* Who uses an entry, as far as the caller may see: an array of text, or 0. */
static Datum
read_users(const PlanRun *run, const DefinitionObject *object, int view_version)
{
	QuerySession session;
	QueryArgs	args = {0};
	Datum		users;
	bool		is_null;

	QueryBeginRegistry(&session);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(session.user.saved_user), false);
	QueryArgText(&args, object->kind->class);
	QueryArgText(&args, object->reference.project);
	QueryArgText(&args, object->reference.name);
	QueryArgInt4(&args, view_version);
	(void) QueryRun("SELECT pg_catalog.array_agg(kind || ' ' || name ORDER BY kind, name) "
					"FROM venice_internal.users_of($1, $2, $3::name, $4::name, $5)", &args);
	users = QueryDatum(0, 1, &is_null);
	if (!is_null)
	{
		MemoryContext old = MemoryContextSwitchTo(run->context);

		users = PointerGetDatum(DatumGetArrayTypePCopy(users));
		MemoryContextSwitchTo(old);
	}
	QueryEnd(&session);
	return is_null ? (Datum) 0 : users;
}

/* One jsonb of one statement over two. */
static Jsonb *
combine(const PlanRun *run, const char *sql, const Jsonb *one, const Jsonb *two)
{
	QuerySession session;
	QueryArgs	args = {0};
	Jsonb	   *result;

	QueryBeginRegistry(&session);
	QueryArgJsonb(&args, one);
	QueryArgJsonb(&args, two);
	(void) QueryRun(sql, &args);
	result = keep_jsonb(0, 1, run->context);
	QueryEnd(&session);
	return result;
}

static Jsonb *
without(const Jsonb *object, const char *key)
{
	const char *keys[] = {key, NULL};

	return RegistryWithout(object, keys);
}

static Jsonb *
empty_object(void)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
}

static Jsonb *
find_changes(const PlanRun *run, const Jsonb *before, const Jsonb *wanted)
{
	return combine(run, "SELECT venice_internal.definition_changes($1, $2)", before, wanted);
}

static char *
find_detail(const PlanRun *run, const Jsonb *before, const Jsonb *after)
{
	QuerySession session;
	QueryArgs	args = {0};
	char	   *detail;

	QueryBeginRegistry(&session);
	QueryArgJsonb(&args, before);
	QueryArgJsonb(&args, after);
	(void) QueryRun("SELECT venice_internal.definition_detail($1, $2)", &args);
	detail = QueryText(0, 1, run->context);
	QueryEnd(&session);
	return detail;
}

pg_noreturn static void
refuse_texts(const char *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is not an array of strings", key)));
	pg_unreachable();
}

/* The value of a key as text that its type reads: an array of strings as an array's. */
static char *
identity_text(const Jsonb *object, const char *key, const char *type)
{
	JsonbValue	buffer;
	JsonbValue *value = getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &object->root),
													 key, strlen(key), &buffer);
	JsonbContainer *array;
	Datum	   *elements;
	ArrayType  *result;

	if (strcmp(type, "interval") == 0)
		return OptionInterval(object, key);
	if (strcmp(type, "text[]") != 0 || value == NULL || value->type == jbvNull)
		return OptionText(object, key);
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		refuse_texts(key);
	array = value->val.binary.data;
	elements = palloc(sizeof(Datum) * Max(JsonContainerSize(array), 1));
	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);

		if (element->type != jbvString)
			refuse_texts(key);
		elements[i] = PointerGetDatum(cstring_to_text_with_len(element->val.string.val,
															   element->val.string.len));
	}
	result = construct_array(elements, JsonContainerSize(array), TEXTOID, -1, false,
							 TYPALIGN_INT);
	return OidOutputFunctionCall(F_ARRAY_OUT, PointerGetDatum(result));
}

/* PlanRun a function of venice as the caller. */
static void
call(const char *sql, const QueryArgs *args)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	(void) QueryRun(sql, args);
	SPI_finish();
}

static void
create_entry(const DefinitionObject *object)
{
	const EntryKind *kind = object->kind;
	QueryArgs	args = {0};
	StringInfoData sql;
	Jsonb	   *options = without(object->wanted, "name");

	options = without(options, "deprecated_until");
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT venice.create_%s($1", kind->name);
	QueryArgText(&args, object_name(object, NULL));
	if (object->reference.view_version > 0)
	{
		Reference	bare = object->reference;

		bare.view_version = 0;
		args.count = 0;
		QueryArgText(&args, ReferenceText(&bare));
	}
	for (int i = 0; i < MAX_IDENTITY && kind->identity[i].key != NULL; i++)
	{
		const char *key = kind->identity[i].key;
		char	   *value = identity_text(object->wanted, key, kind->identity[i].type);

		if (value == NULL && strcmp(key, "owner") == 0)
			value = GetUserNameFromId(GetUserId(), false);
		QueryArgText(&args, value);
		appendStringInfo(&sql, ", $%d::pg_catalog.%s", args.count, kind->identity[i].type);
		options = without(options, key);
	}
	QueryArgJsonb(&args, options);
	appendStringInfo(&sql, ", $%d)", args.count);
	call(sql.data, &args);
}

static void
alter_entry(const DefinitionObject *object, const EntryState *before, Jsonb *changes,
			bool new_version)
{
	const EntryKind *kind = object->kind;
	QueryArgs	args = {0};
	StringInfoData sql;
	DefinitionObject		altered = *object;
	char	   *features = NULL;

	altered.reference.view_version = before->view_version;
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT venice.alter_%s($1, $2", kind->name);
	QueryArgText(&args, object_name(&altered, NULL));
	if (kind->features != NULL)
	{
		features = identity_text(changes, kind->features,
								 kind->has_versions ? "text" : "text[]");
		changes = without(changes, kind->features);
	}
	QueryArgJsonb(&args, changes);
	if (features != NULL)
	{
		QueryArgText(&args, features);
		appendStringInfo(&sql, ", %s => $3%s", kind->features,
						 kind->has_versions ? "" : "::pg_catalog.text[]");
	}
	appendStringInfo(&sql, "%s)", new_version ? ", new_version => true" : "");
	call(sql.data, &args);
}

static void
deprecate(const DefinitionObject *object, const EntryState *entry, const char *until)
{
	QueryArgs	args = {0};
	DefinitionObject		version = *object;

	version.reference.view_version = entry->view_version;
	QueryArgText(&args, object_name(&version, NULL));
	QueryArgText(&args, until);
	/* A period that is over is over at once. */
	call("SELECT venice.deprecate($1, CASE WHEN $2 IS NOT NULL THEN "
		 "GREATEST($2::pg_catalog.timestamptz OPERATOR(pg_catalog.-) pg_catalog.now(), "
		 "'1 microsecond'::pg_catalog.interval) END)", &args);
}

static bool
same_jsonb(const Jsonb *one, const Jsonb *two)
{
	return VARSIZE(one) == VARSIZE(two) && memcmp(one, two, VARSIZE(one)) == 0;
}

/* Do two lists of features differ in nothing but view versions? */
static bool
is_move(const Jsonb *changes, const Jsonb *before)
{
	char	   *one = OptionText(changes, "features");
	char	   *two = OptionText(before, "features");
	char	   *versions[2];
	const char *texts[] = {one, two};

	if (one == NULL || two == NULL || JB_ROOT_COUNT(changes) != 1)
		return false;
	for (int i = 0; i < 2; i++)
		versions[i] = TextDatumGetCString(DirectFunctionCall4Coll(textregexreplace,
																  DEFAULT_COLLATION_OID,
																  CStringGetTextDatum(texts[i]),
																  CStringGetTextDatum("@[0-9]+"),
																  CStringGetTextDatum(""),
																  CStringGetTextDatum("g")));
	return strcmp(versions[0], versions[1]) == 0;
}

/* Make or alter one entry; its row, if anything came of it, is run->row. */
static void
apply_object(void *argument)
{
	PlanRun    *run = argument;
	const DefinitionObject *object = run->current;
	int			nest_level = NewGUCNestLevel();
	EntryState	before = read_entry(run, object);
	const char *action = "create";
	char	   *until = OptionText(object->wanted, "deprecated_until");
	Jsonb	   *wanted = without(object->wanted, "deprecated_until");
	Jsonb	   *changes = NULL;
	EntryState	after;
	DefinitionObject		named = *object;
	char	   *is_until;

	/* The default project is there before it has a definition. */
	if (before.definition == NULL && object->kind == &kinds[0] &&
		strcmp(object->reference.name, DEFAULT_PROJECT) == 0)
		before.definition = empty_object();
	/* Names without a project are of the object's. */
	(void) set_config_option("venice.project", object->reference.project, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (before.definition != NULL)
	{
		action = "alter";
		changes = find_changes(run, without(before.definition, "deprecated_until"), wanted);
		if (changes != NULL && object->kind == &kinds[lengthof(kinds) - 1] &&
			is_move(changes, before.definition))
			action = "move";
		if (changes != NULL)
			alter_entry(object, &before, changes, false);
	}
	else if (before.newest_version > 0)
	{
		DefinitionObject		newest = *object;

		if (object->reference.view_version != before.newest_version + 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("view version %d is not the next", object->reference.view_version),
					 errdetail("The newest is %d.", before.newest_version)));
		action = "new_version";
		newest.reference.view_version = before.newest_version;
		before = read_entry(run, &newest);
		if (before.definition == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("%s \"%s\" does not exist", object->kind->name,
							object_name(&newest, NULL))));
		changes = find_changes(run, without(before.definition, "deprecated_until"), wanted);
		alter_entry(object, &before, changes != NULL ? changes : empty_object(), true);
	}
	else
		create_entry(object);
	after = read_entry(run, object);
	AtEOXact_GUC(true, nest_level);
	if (after.definition == NULL)
		return;					/* the default project, of which nothing is said */
	is_until = OptionText(after.definition, "deprecated_until");
	if (object->kind->has_versions &&
		(until == NULL ? is_until != NULL : is_until == NULL || strcmp(until, is_until) != 0))
	{
		if (changes == NULL && before.definition != NULL)
			action = "deprecate";
		deprecate(object, &after, until);
		after = read_entry(run, object);
	}
	/* What is only written otherwise: nothing that an alter_ does besides is to be done. */
	run->unchanged = before.definition != NULL && same_jsonb(before.definition, after.definition);
	if (run->unchanged)
		return;
	named.reference.view_version = after.view_version;
	run->row = MemoryContextAllocZero(run->context, sizeof(PlanRow));
	run->row->action = action;
	run->row->kind = object->kind;
	run->row->name = MemoryContextStrdup(run->context, object_name(&named, run->project));
	if (before.definition == NULL)
		return;
	run->row->used_by = read_users(run, object, before.view_version);
	run->row->detail = find_detail(run, before.definition, after.definition);
}

static void
drop_object(void *argument)
{
	PlanRun    *run = argument;
	QueryArgs	args = {0};

	QueryArgText(&args, object_name(run->current, NULL));
	call(psprintf("SELECT venice.drop_%s($1)", run->current->kind->name), &args);
	run->row = MemoryContextAllocZero(run->context, sizeof(PlanRow));
	run->row->action = "drop";
	run->row->kind = run->current->kind;
	run->row->name = MemoryContextStrdup(run->context, object_name(run->current, run->project));
}

static void
add_breaking(PlanRun *run, const char *action, const ErrorData *error)
{
	PlanRow    *row = palloc0(sizeof(PlanRow));

	row->action = action;
	row->kind = run->current->kind;
	row->name = object_name(run->current, run->project);
	row->detail = pstrdup(error->detail != NULL ? error->detail : error->message);
	row->breaking = true;
	row->used_by = read_users(run, run->current, read_entry(run, run->current).view_version);
	run->rows = lappend(run->rows, row);
}

/*
 * Do what is to be done with each object.  Those that fail with retry_sqlstate are tried
 * again as long as others succeed.
 */
static void
process(PlanRun *run, List *objects, SubtransactionAction action, int retry_sqlstate)
{
	while (objects != NIL)
	{
		List	   *again = NIL;
		List	   *errors = NIL;
		bool		progress = false;
		ListCell   *cell;

		foreach(cell, objects)
		{
			ErrorContextCallback callback;
			ErrorData  *error;

			CHECK_FOR_INTERRUPTS();
			run->current = lfirst(cell);
			run->row = NULL;
			run->unchanged = false;
			callback.callback = object_context;
			callback.arg = run->current;
			callback.previous = error_context_stack;
			error_context_stack = &callback;
			error = SubtransactionTryUnless(action, run, &run->unchanged);
			error_context_stack = callback.previous;
			if (error == NULL)
			{
				progress = true;
				if (run->row != NULL)
					run->rows = lappend(run->rows, run->row);
			}
			else if (error->sqlerrcode == retry_sqlstate)
			{
				again = lappend(again, run->current);
				errors = lappend(errors, error);
			}
			else if (error->sqlerrcode == ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST)
			{
				progress = true;
				add_breaking(run, "alter", error);
			}
			else
				ReThrowError(error);
		}
		if (!progress && again != NIL)
		{
			ListCell   *error;

			if (retry_sqlstate != ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST)
				ReThrowError(linitial(errors));
			forboth(cell, again, error, errors)
			{
				run->current = lfirst(cell);
				add_breaking(run, "drop", lfirst(error));
			}
			again = NIL;
		}
		objects = again;
	}
}

pg_noreturn static void
refuse_definition(const char *message)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid definition: %s", message),
			 errhint("A definition is an object with the keys project, projects, entities, sources, feature_views, "
					 "label_views, on_demand_views, services; all but the first are arrays of objects.")));
	pg_unreachable();
}

static void
check_features(const PlanRun *run, const DefinitionObject *object, const char *key)
{
	QuerySession session;
	QueryArgs	args = {0};
	char	   *wrong;

	QueryBeginRegistry(&session);
	QueryArgJsonb(&args, object->wanted);
	QueryArgText(&args, key);
	(void) QueryRun("SELECT pg_catalog.min(CASE WHEN pg_catalog.jsonb_typeof(f) <> 'object' "
					"OR pg_catalog.jsonb_typeof(f -> 'name') IS DISTINCT FROM 'string' THEN f::text "
					"ELSE (SELECT pg_catalog.min(k) FROM pg_catalog.jsonb_object_keys(f) AS k "
					"WHERE k NOT IN ('name', 'expression', 'description', 'tags')) END) "
					"FROM pg_catalog.jsonb_array_elements($1 -> $2) AS f", &args);
	wrong = QueryText(0, 1, run->context);
	QueryEnd(&session);
	if (wrong != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid feature of %s \"%s\": %s", object->kind->name,
						object_name(object, NULL), wrong),
				 errhint("A feature is an object with the keys name, expression, description, tags.")));
}

/* What an object cannot be made without would be left as it is where there is one already. */
static void
check_required(const DefinitionObject *object)
{
	const EntryKind *kind = object->kind;

	for (int i = 0; i < MAX_IDENTITY && kind->identity[i].key != NULL; i++)
		if (kind->identity[i].is_required &&
			OptionText(object->wanted, kind->identity[i].key) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s \"%s\" of the definition has no \"%s\"", kind->name,
							object_name(object, NULL), kind->identity[i].key)));
}

static int
compare_objects(const ListCell *a, const ListCell *b)
{
	const DefinitionObject *one = lfirst(a);
	const DefinitionObject *two = lfirst(b);
	int			result = one->kind - two->kind;

	if (result == 0)
		result = strcmp(one->reference.project, two->reference.project);
	if (result == 0)
		result = strcmp(one->reference.name, two->reference.name);
	if (result == 0)
		result = one->reference.view_version - two->reference.view_version;
	return result;
}

/* Of two objects of one name the second would undo the first, by each apply anew. */
static void
check_distinct(const PlanRun *run)
{
	List	   *sorted = list_copy(run->objects);
	const DefinitionObject *before = NULL;
	ListCell   *cell;

	list_sort(sorted, compare_objects);
	foreach(cell, sorted)
	{
		const DefinitionObject *object = lfirst(cell);

		/* A view without a version may be any of its versions. */
		if (before != NULL && before->kind == object->kind &&
			strcmp(before->reference.project, object->reference.project) == 0 &&
			strcmp(before->reference.name, object->reference.name) == 0 &&
			(before->reference.view_version == 0 ||
			 before->reference.view_version == object->reference.view_version))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s \"%s\" is in the definition more than once", object->kind->name,
							object_name(before, NULL)),
					 object->kind->has_versions ?
					 errhint("View versions of one view are told apart by the key view_version.") :
					 0));
		before = object;
	}
}

/* The objects of one section. */
static void
read_section(PlanRun *run, const EntryKind *kind, const JsonbValue *section)
{
	JsonbContainer *array;

	if (section->type != jbvBinary || !JsonContainerIsArray(section->val.binary.data))
		refuse_definition(psprintf("\"%s\" is no array", kind->section));
	array = section->val.binary.data;
	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);
		DefinitionObject *object = palloc0(sizeof(DefinitionObject));
		JsonbValue	buffer;
		JsonbValue *features;
		char	   *name;
		char	   *version;

		if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
			refuse_definition(psprintf("\"%s\" has an element that is no object", kind->section));
		object->kind = kind;
		object->wanted = JsonbValueToJsonb(element);
		name = OptionText(object->wanted, "name");
		if (name == NULL)
			refuse_definition(psprintf("an object of \"%s\" has no name", kind->section));
		ReferenceParse(name, &object->reference);
		if (object->reference.view_version > 0 || object->reference.feature != NULL)
			refuse_definition(psprintf("\"%s\" is no name of an entry: a view version is the key view_version",
									   name));
		if (kind == &kinds[0])
			object->reference.project = object->reference.name;
		else if (object->reference.project == NULL)
			object->reference.project = run->project;
		version = OptionText(object->wanted, "view_version");
		if (version != NULL && kind->has_versions)
		{
			object->reference.view_version = pg_strtoint32(version);
			if (object->reference.view_version < 1)
				refuse_definition(psprintf("view_version of \"%s\" is not positive", name));
		}
		check_required(object);
		features = kind->features == NULL || !kind->has_versions ? NULL :
			getKeyJsonValueFromContainer(&object->wanted->root, kind->features,
										 strlen(kind->features), &buffer);
		if (features != NULL && features->type == jbvBinary &&
			JsonContainerIsArray(features->val.binary.data))
		{
			check_features(run, object, kind->features);
			object->wanted = combine(run, psprintf("SELECT venice_internal.fold_features($1, %s)",
												   quote_literal_cstr(kind->features)),
									 object->wanted, NULL);
		}
		run->objects = lappend(run->objects, object);
	}
}

static void
read_definition(PlanRun *run, Jsonb *definition)
{
	JsonbIterator *iterator;
	JsonbValue	key;
	JsonbIteratorToken token;

	if (!JB_ROOT_IS_OBJECT(definition))
		refuse_definition("it is no object");
	run->project = OptionString(definition, "project");
	if (run->project == NULL)
		run->project = pstrdup(CurrentProject());
	iterator = JsonbIteratorInit(&definition->root);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		bool		known;

		if (token != WJB_KEY)
			continue;
		known = key.val.string.len == strlen("project") &&
			strncmp(key.val.string.val, "project", key.val.string.len) == 0;
		for (int i = 0; i < lengthof(kinds) && !known; i++)
			known = key.val.string.len == strlen(kinds[i].section) &&
				strncmp(key.val.string.val, kinds[i].section, key.val.string.len) == 0;
		if (!known)
			refuse_definition(psprintf("unrecognized key \"%s\"",
									   pnstrdup(key.val.string.val, key.val.string.len)));
	}
	for (int i = 0; i < lengthof(kinds); i++)
	{
		JsonbValue	buffer;
		JsonbValue *section = getKeyJsonValueFromContainer(&definition->root, kinds[i].section,
														   strlen(kinds[i].section), &buffer);

		if (section != NULL)
			read_section(run, &kinds[i], section);
	}
	check_distinct(run);
}

static bool
is_mentioned(const PlanRun *run, const DefinitionObject *object)
{
	ListCell   *cell;

	foreach(cell, run->objects)
	{
		const DefinitionObject *other = lfirst(cell);

		if (other->kind == object->kind &&
			strcmp(other->reference.project, object->reference.project) == 0 &&
			strcmp(other->reference.name, object->reference.name) == 0 &&
			(other->reference.view_version == 0 ||
			 other->reference.view_version == object->reference.view_version))
			return true;
	}
	return false;
}

/* What the caller owns in the file's project and the file does not mention, last made first. */
static List *
unmentioned(const PlanRun *run)
{
	List	   *objects = NIL;

	for (int i = lengthof(kinds) - 1; i > 0; i--)
	{
		QuerySession session;
		QueryArgs	args = {0};

		QueryBeginRegistry(&session);
		QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(session.user.saved_user), false);
		QueryArgText(&args, kinds[i].name);
		QueryArgText(&args, run->project);
		(void) QueryRun("SELECT entry::text, number FROM venice_internal.entries($1) "
						"WHERE kind = $2 AND project = $3::name "
						"AND venice_internal.is_entry_member_as(owner_name, $1) ORDER BY entry DESC, number DESC",
						&args);
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			DefinitionObject *object = MemoryContextAllocZero(run->context,
															  sizeof(DefinitionObject));

			object->kind = &kinds[i];
			object->reference.project = run->project;
			object->reference.name = QueryText(row, 1, run->context);
			object->reference.view_version = QueryInt4(row, 2, 0);
			if (!is_mentioned(run, object))
			{
				MemoryContext old = MemoryContextSwitchTo(run->context);

				objects = lappend(objects, object);
				MemoryContextSwitchTo(old);
			}
		}
		QueryEnd(&session);
	}
	return objects;
}

/* Everything that the definition asks for, done. */
static void
apply_definition(void *argument)
{
	PlanRun    *run = argument;

	process(run, run->objects, apply_object, ERRCODE_UNDEFINED_OBJECT);
	/* It may be one that the definition has made. */
	RegistryCheckProject(run->project);
	if (run->prune)
		process(run, unmentioned(run), drop_object, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST);
}

static char *
breaking_list(const PlanRun *run)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, run->rows)
	{
		const PlanRow  *row = lfirst(cell);

		if (row->breaking)
			appendStringInfo(&list, "%s%s %s \"%s\": %s", list.len > 0 ? "\n" : "", row->action,
							 row->kind->name, row->name, row->detail);
	}
	return list.len > 0 ? list.data : NULL;
}

static void
put_row(ReturnSetInfo *result, const PlanRow *row)
{
	Datum		values[6];
	bool		nulls[6] = {false};

	values[0] = CStringGetTextDatum(row->action);
	values[1] = CStringGetTextDatum(row->kind->name);
	values[2] = CStringGetTextDatum(row->name);
	nulls[3] = row->detail == NULL;
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(row->detail);
	values[4] = BoolGetDatum(row->breaking);
	nulls[5] = row->used_by == (Datum) 0;
	values[5] = row->used_by;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static Datum
run_definition(FunctionCallInfo fcinfo, bool keep)
{
	PlanRun			run = {0};
	ListCell   *cell;
	char	   *breaking;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("definition must not be null")));
	RegistryLock(fcinfo);
	run.context = CurrentMemoryContext;
	run.prune = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	read_definition(&run, PG_GETARG_JSONB_P(0));
	if (keep)
		apply_definition(&run);
	else
	{
		bool		undo = true;
		ErrorData  *error = SubtransactionTryUnless(apply_definition, &run, &undo);

		if (error != NULL)
			ReThrowError(error);
	}
	breaking = breaking_list(&run);
	if (keep && breaking != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("definition has changes that are breaking"),
				 errdetail_internal("%s", breaking),
				 errhint("A view that is given the next \"view_version\" in the definition is made beside the old one. venice.plan() shows all changes.")));
	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, run.rows)
		put_row((ReturnSetInfo *) fcinfo->resultinfo, lfirst(cell));
	return (Datum) 0;
}

/*
 * venice_plan
 *		plan(definition, prune): the rows of apply(), and nothing changed.
 */
Datum
venice_plan(PG_FUNCTION_ARGS)
{
	return run_definition(fcinfo, false);
}

/*
 * venice_apply
 *		apply(definition, prune): 2BP01 when a change is breaking, and nothing changed.
 */
Datum
venice_apply(PG_FUNCTION_ARGS)
{
	return run_definition(fcinfo, true);
}
