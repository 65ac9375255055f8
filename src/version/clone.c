/*-------------------------------------------------------------------------
 *
 * clone.c
 *		Indexes, constraints, triggers and statistics that users put on the
 *		current version.
 *
 * Each is deparsed by the server's own functions, parsed again, pointed at the
 * other table, and executed: no text of ours is edited, so that no name can be
 * mistaken for syntax.  No event trigger sees it.
 *
 * Deparsing what was parsed does not always give the same text.  So a clone is
 * never compared with what it was made from, but what that was then with what it
 * is now.
 *
 * Statistics objects live in any schema, where there can be only one of a name.  The
 * clone of one that is not in the store's schema waits in that of its version.
 *
 * Locks: those of the DDL on the new table, which nobody else uses yet;
 * AccessShareLock on the old one.
 * Must not know: what a version is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/clone.h"

#include "access/genam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/toast_compression.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "parser/scansup.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/attoptcache.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "common/json_input.h"
#include "version/catalog_row.h"

/* Is it one of the triggers that VersionSeal makes? */
static bool
is_seal(const Trigger *trigger)
{
	return strcmp(trigger->tgname, "venice_seal") == 0 ||
		strcmp(trigger->tgname, "venice_forget") == 0;
}

typedef struct ObjectKind
{
	const char *word;
	Oid			class_id;
	char	   *(*define) (Oid object);
	Oid			(*find) (Oid table, const char *name);
} ObjectKind;

typedef struct UserObject
{
	const ObjectKind *kind;
	Oid			object;
	char	   *name;
	char	   *definition;		/* NULL of what is the store's own */
} UserObject;

static Oid
find_index(Oid table, const char *name)
{
	Oid			index = get_relname_relid(name, get_rel_namespace(table));

	return OidIsValid(index) && IndexGetRelation(index, true) == table ? index : InvalidOid;
}

static Oid
find_constraint(Oid table, const char *name)
{
	return get_relation_constraint_oid(table, name, true);
}

static char *
define_trigger(Oid trigger)
{
	return TextDatumGetCString(DirectFunctionCall1(pg_get_triggerdef, ObjectIdGetDatum(trigger)));
}

static Oid
find_trigger(Oid table, const char *name)
{
	return get_trigger_oid(table, name, true);
}

static Oid
find_statistics(Oid table, const char *name)
{
	return GetSysCacheOid2(STATEXTNAMENSP, Anum_pg_statistic_ext_oid, CStringGetDatum(name),
						   ObjectIdGetDatum(get_rel_namespace(table)));
}

static const ObjectKind index_kind =
{
	"index", RelationRelationId, pg_get_indexdef_string, find_index
};
static const ObjectKind constraint_kind =
{
	"constraint", ConstraintRelationId, pg_get_constraintdef_command, find_constraint
};
static const ObjectKind trigger_kind =
{
	"trigger", TriggerRelationId, define_trigger, find_trigger
};
static const ObjectKind statistics_kind =
{
	"statistics", StatisticExtRelationId, pg_get_statisticsobjdef_string, find_statistics
};

static const ObjectKind *const kinds[] =
{
	&index_kind, &constraint_kind, &trigger_kind, &statistics_kind
};

char *
StatisticsNameInVersion(Oid statistics, Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(statistics));
	Form_pg_statistic_ext form;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for statistics object %u", statistics);
	form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
	if (form->stxnamespace == schema)
		name = pstrdup(NameStr(form->stxname));
	else
	{
		name = psprintf("%s.%s", get_namespace_name(form->stxnamespace), NameStr(form->stxname));
		truncate_identifier(name, strlen(name), false);
	}
	ReleaseSysCache(tuple);
	return name;
}

static List *
add_object(List *list, const ObjectKind *kind, Oid object, const char *name, bool defined)
{
	UserObject *result = palloc(sizeof(UserObject));

	result->kind = kind;
	result->object = object;
	result->name = pstrdup(name);
	result->definition = defined ? kind->define(object) : NULL;
	return lappend(list, result);
}

/*
 * What is on a table, in an order in which it can be made.  Constraints bring
 * their own indexes; the primary key is the store's, the seal ours, and an
 * internal trigger belongs to a constraint.
 */
static List *
list_objects(Oid table, bool defined)
{
	Relation	relation = table_open(table, AccessShareLock);
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	List	   *objects = NIL;
	List	   *constraints = NIL;
	List	   *foreign_keys = NIL;
	List	   *constraint_indexes = NIL;
	ListCell   *cell;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		switch (form->contype)
		{
			case CONSTRAINT_PRIMARY:
			case CONSTRAINT_UNIQUE:
			case CONSTRAINT_EXCLUSION:
				constraint_indexes = lappend_oid(constraint_indexes, form->conindid);
				/* FALLTHROUGH */
			case CONSTRAINT_CHECK:
				constraints = add_object(constraints, &constraint_kind, form->oid,
										 NameStr(form->conname),
										 defined && form->contype != CONSTRAINT_PRIMARY);
				break;
			case CONSTRAINT_FOREIGN:
				foreign_keys = add_object(foreign_keys, &constraint_kind, form->oid,
										  NameStr(form->conname), defined);
				break;
			default:
				break;
		}
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	foreach(cell, RelationGetIndexList(relation))
	{
		Oid			index = lfirst_oid(cell);

		if (get_index_isvalid(index))
			objects = add_object(objects, &index_kind, index, get_rel_name(index),
								 defined && !list_member_oid(constraint_indexes, index));
	}
	objects = list_concat(objects, constraints);
	objects = list_concat(objects, foreign_keys);
	for (int i = 0; relation->trigdesc != NULL && i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		if (!trigger->tgisinternal)
			objects = add_object(objects, &trigger_kind, trigger->tgoid, trigger->tgname,
								 defined && !is_seal(trigger));
	}
	foreach(cell, RelationGetStatExtList(relation))
	{
		Oid			statistics = lfirst_oid(cell);

		objects = add_object(objects, &statistics_kind, statistics,
							 StatisticsNameInVersion(statistics, RelationGetNamespace(relation)),
							 defined);
	}
	table_close(relation, AccessShareLock);
	return objects;
}

static char *
object_key(const UserObject *object)
{
	return psprintf("%s %s", object->kind->word, object->name);
}

static char *
string_value(const JsonbValue *value)
{
	return value ? pnstrdup(value->val.string.val, value->val.string.len) : NULL;
}

static char *
find_string(const Jsonb *strings, const char *key)
{
	return string_value(getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &strings->root),
													 key, strlen(key), NULL));
}

Jsonb *
ClonedInReverse(Oid table, const Jsonb *cloned)
{
	JsonbParseState *state = NULL;
	ListCell   *cell;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	foreach(cell, list_objects(table, true))
	{
		UserObject *object = lfirst(cell);
		char	   *key = object_key(object);

		if (object->definition == NULL)
			continue;
		JsonbPushString(&state, WJB_KEY, key);
		/* What is not a clone is like nothing but in its name. */
		JsonbPushString(&state, WJB_VALUE, find_string(cloned, key) ? object->definition : "");
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static bool
names_table(const RangeVar *name, Oid table)
{
	return name != NULL && name->schemaname != NULL &&
		strcmp(name->relname, get_rel_name(table)) == 0 &&
		strcmp(name->schemaname, get_namespace_name(get_rel_namespace(table))) == 0;
}

static void
add_definition(void *argument)
{
	errcontext("definition in the current version: %s", (char *) argument);
}

/* Execute the statement that defined something on a table, on another table instead. */
static void
execute_on(const UserObject *object, Oid from, Oid to)
{
	ErrorContextCallback context = {error_context_stack, add_definition, object->definition};
	RawStmt    *raw = linitial_node(RawStmt, raw_parser(object->definition, RAW_PARSE_DEFAULT));
	Node	   *node = raw->stmt;
	RangeVar   *target = makeRangeVar(get_namespace_name(get_rel_namespace(to)), get_rel_name(to),
									  -1);
	PlannedStmt *statement = makeNode(PlannedStmt);

	error_context_stack = &context;
	switch (nodeTag(node))
	{
		case T_IndexStmt:
			castNode(IndexStmt, node)->relation = target;
			break;
		case T_CreateTrigStmt:
			castNode(CreateTrigStmt, node)->relation = target;
			break;
		case T_CreateStatsStmt:
			castNode(CreateStatsStmt, node)->defnames =
				list_make2(makeString(target->schemaname), makeString(object->name));
			castNode(CreateStatsStmt, node)->relations = list_make1(target);
			break;
		default:
			{
				AlterTableStmt *alter = castNode(AlterTableStmt, node);
				Constraint *constraint =
					castNode(Constraint, linitial_node(AlterTableCmd, alter->cmds)->def);

				alter->relation = target;
				/* A foreign key within the table. */
				if (names_table(constraint->pktable, from))
					constraint->pktable = target;
			}
	}
	statement->commandType = CMD_UTILITY;
	statement->utilityStmt = node;
	ProcessUtility(statement, object->definition, false, PROCESS_UTILITY_SUBCOMMAND, NULL, NULL,
				   None_Receiver, NULL);
	CommandCounterIncrement();
	error_context_stack = context.previous;
}

static void
drop_object(const ObjectKind *kind, Oid object, Oid table)
{
	ObjectAddress address;

	/* The table before what is on it, as everybody else locks them. */
	LockRelationOid(table, AccessExclusiveLock);
	ObjectAddressSet(address, kind->class_id, object);
	performDeletion(&address, DROP_RESTRICT, 0);
	CommandCounterIncrement();
}

static bool
is_listed(List *objects, const ObjectKind *kind, const char *name)
{
	ListCell   *cell;

	foreach(cell, objects)
	{
		UserObject *object = lfirst(cell);

		if (object->kind == kind && strcmp(object->name, name) == 0)
			return true;
	}
	return false;
}

/* Drop from a table what was cloned from another one that has it no more. */
static void
drop_gone(Jsonb *cloned, List *wanted, Oid table)
{
	JsonbIterator *iterator = JsonbIteratorInit(&cloned->root);
	JsonbIteratorToken token;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		char	   *word;
		char	   *name;

		if (token != WJB_KEY)
			continue;
		word = string_value(&value);
		name = strchr(word, ' ');
		*name++ = '\0';
		for (int i = 0; i < lengthof(kinds); i++)
		{
			Oid			object;

			if (strcmp(kinds[i]->word, word) != 0 || is_listed(wanted, kinds[i], name))
				continue;
			object = kinds[i]->find(table, name);
			if (OidIsValid(object))
				drop_object(kinds[i], object, table);
		}
	}
}

bool
CloneUserObjects(Oid from, Oid to, Jsonb **cloned)
{
	List	   *wanted = list_objects(from, true);
	JsonbParseState *state = NULL;
	int			nest_level = NewGUCNestLevel();
	bool		to_analyze = false;
	ListCell   *cell;

	/* A definition that names no tablespace means the database's. */
	(void) set_config_option("default_tablespace", "", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	if (*cloned != NULL)
		drop_gone(*cloned, wanted, to);

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	foreach(cell, wanted)
	{
		UserObject *object = lfirst(cell);
		char	   *key = object_key(object);
		char	   *known = NULL;
		Oid			twin;

		if (object->definition == NULL)
			continue;
		if (*cloned != NULL)
			known = find_string(*cloned, key);
		twin = object->kind->find(to, object->name);
		if (OidIsValid(twin) && known != NULL && strcmp(known, object->definition) != 0)
		{
			drop_object(object->kind, twin, to);
			twin = InvalidOid;
		}
		if (!OidIsValid(twin))
		{
			execute_on(object, from, to);
			known = object->definition;
			to_analyze |= object->kind == &index_kind || object->kind == &statistics_kind;
		}
		if (known != NULL)
		{
			JsonbPushString(&state, WJB_KEY, key);
			JsonbPushString(&state, WJB_VALUE, object->definition);
		}
	}
	*cloned = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	AtEOXact_GUC(false, nest_level);
	return to_analyze;
}

List *
ObjectPairs(Oid from, Oid to)
{
	List	   *pairs = NIL;
	ListCell   *cell;

	foreach(cell, list_objects(from, false))
	{
		UserObject *object = lfirst(cell);
		Oid			twin = object->kind->find(to, object->name);
		ObjectPair *pair;

		if (!OidIsValid(twin))
			continue;
		pair = palloc(sizeof(ObjectPair));
		pair->class_id = object->kind->class_id;
		pair->from = object->object;
		pair->to = twin;
		pairs = lappend(pairs, pair);
	}
	return pairs;
}

static List *
add_command(List *commands, AlterTableType type, const char *name, Node *definition)
{
	AlterTableCmd *command = makeNode(AlterTableCmd);

	command->subtype = type;
	command->name = name ? pstrdup(name) : NULL;
	command->def = definition;
	return lappend(commands, command);
}

static char *
storage_name(char storage)
{
	switch (storage)
	{
		case TYPSTORAGE_PLAIN:
			return "plain";
		case TYPSTORAGE_EXTERNAL:
			return "external";
		case TYPSTORAGE_MAIN:
			return "main";
		default:
			return "extended";
	}
}

static char *
compression_name(char compression)
{
	switch (compression)
	{
		case TOAST_PGLZ_COMPRESSION:
			return "pglz";
		case TOAST_LZ4_COMPRESSION:
			return "lz4";
		default:
			return "default";
	}
}

static List *
add_distinct(List *commands, const char *column, char *option, float8 wanted, float8 present)
{
	Node	   *value = wanted != 0 ? (Node *) makeFloat(psprintf("%.17g", wanted)) : NULL;

	if (wanted == present)
		return commands;
	return add_command(commands, wanted != 0 ? AT_SetOptions : AT_ResetOptions, column,
					   (Node *) list_make1(makeDefElem(option, value, -1)));
}

/*
 * By name, and not the whole of attoptions: minor releases keep there, for each
 * table, which version of its row type a column came with.
 */
static List *
distinct_commands(List *commands, Relation from, AttrNumber from_number, Relation to,
				  AttrNumber to_number)
{
	AttributeOpts none = {0};
	AttributeOpts *wanted = get_attribute_options(RelationGetRelid(from), from_number);
	AttributeOpts *present = get_attribute_options(RelationGetRelid(to), to_number);
	const char *column = NameStr(TupleDescAttr(RelationGetDescr(to), to_number - 1)->attname);

	wanted = wanted ? wanted : &none;
	present = present ? present : &none;
	commands = add_distinct(commands, column, "n_distinct", wanted->n_distinct,
							present->n_distinct);
	return add_distinct(commands, column, "n_distinct_inherited", wanted->n_distinct_inherited,
						present->n_distinct_inherited);
}

static List *
column_commands(List *commands, Relation from, Relation to)
{
	for (int i = 0; i < RelationGetNumberOfAttributes(from); i++)
	{
		Form_pg_attribute theirs = TupleDescAttr(RelationGetDescr(from), i);
		AttrNumber	number = theirs->attisdropped ? InvalidAttrNumber :
			get_attnum(RelationGetRelid(to), NameStr(theirs->attname));
		Form_pg_attribute ours;
		char		storage = theirs->attstorage;

		if (number == InvalidAttrNumber)
			continue;
		ours = TupleDescAttr(RelationGetDescr(to), number - 1);
		/* A widened column is stored as its new type is, unless somebody said otherwise. */
		if (storage == get_typstorage(theirs->atttypid))
			storage = get_typstorage(ours->atttypid);
		if (storage != ours->attstorage)
			commands = add_command(commands, AT_SetStorage, NameStr(ours->attname),
								   (Node *) makeString(storage_name(storage)));
		if (theirs->attcompression != ours->attcompression)
		{
			char	   *method = compression_name(theirs->attcompression);

			commands = add_command(commands, AT_SetCompression, NameStr(ours->attname),
								   (Node *) makeString(method));
		}
		commands = distinct_commands(commands, from, theirs->attnum, to, number);
	}
	return commands;
}

static Trigger *
find_in_relation(Relation relation, const char *name)
{
	for (int i = 0; relation->trigdesc != NULL && i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		if (!trigger->tgisinternal && strcmp(trigger->tgname, name) == 0)
			return trigger;
	}
	return NULL;
}

static List *
trigger_commands(List *commands, Relation from, Relation to)
{
	for (int i = 0; from->trigdesc != NULL && i < from->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &from->trigdesc->triggers[i];
		Trigger    *twin = find_in_relation(to, trigger->tgname);
		AlterTableType type;

		if (trigger->tgisinternal || is_seal(trigger) || twin == NULL ||
			twin->tgenabled == trigger->tgenabled)
			continue;
		switch (trigger->tgenabled)
		{
			case TRIGGER_FIRES_ALWAYS:
				type = AT_EnableAlwaysTrig;
				break;
			case TRIGGER_FIRES_ON_REPLICA:
				type = AT_EnableReplicaTrig;
				break;
			case TRIGGER_DISABLED:
				type = AT_DisableTrig;
				break;
			default:
				type = AT_EnableTrig;
		}
		commands = add_command(commands, type, trigger->tgname, NULL);
	}
	return commands;
}

/* The index that CLUSTER would use, or NULL. */
static char *
clustered_index(Relation relation)
{
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(relation))
		if (get_index_isclustered(lfirst_oid(cell)))
			return get_rel_name(lfirst_oid(cell));
	return NULL;
}

/* Of a table that identifies rows by an index, that index; NULL if it is gone. */
static char *
identity_index(Relation relation)
{
	return relation->rd_rel->relreplident == REPLICA_IDENTITY_INDEX ?
		get_rel_name(RelationGetReplicaIndex(relation)) : NULL;
}

static bool
same_name(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static List *
index_commands(List *commands, Relation from, Relation to)
{
	char	   *wanted = clustered_index(from);
	char		identity = from->rd_rel->relreplident;

	if (!same_name(wanted, clustered_index(to)))
	{
		if (wanted == NULL)
			commands = add_command(commands, AT_DropCluster, NULL, NULL);
		else if (OidIsValid(find_index(RelationGetRelid(to), wanted)))
			commands = add_command(commands, AT_ClusterOn, wanted, NULL);
	}

	wanted = identity_index(from);
	if (identity != to->rd_rel->relreplident || !same_name(wanted, identity_index(to)))
	{
		ReplicaIdentityStmt *statement = makeNode(ReplicaIdentityStmt);

		if (identity == REPLICA_IDENTITY_INDEX && wanted == NULL)
			identity = REPLICA_IDENTITY_NOTHING;
		statement->identity_type = identity;
		statement->name = wanted;
		if (wanted == NULL || OidIsValid(find_index(RelationGetRelid(to), wanted)))
			commands = add_command(commands, AT_ReplicaIdentity, NULL, (Node *) statement);
	}
	return commands;
}

static List *
option_commands(List *commands, Relation from, Relation to)
{
	int			wanted = RelationGetToastTupleTarget(from, TOAST_TUPLE_TARGET);
	bool		is_default = wanted == TOAST_TUPLE_TARGET;
	Node	   *value = is_default ? NULL : (Node *) makeInteger(wanted);

	if (wanted == RelationGetToastTupleTarget(to, TOAST_TUPLE_TARGET))
		return commands;
	return add_command(commands, is_default ? AT_ResetRelOptions : AT_SetRelOptions, NULL,
					   (Node *) list_make1(makeDefElem("toast_tuple_target", value, -1)));
}

void
CloneSettings(Oid from, Oid to)
{
	Relation	source = table_open(from, AccessShareLock);
	Relation	target = table_open(to, AccessShareLock);
	List	   *commands = NIL;

	commands = column_commands(commands, source, target);
	commands = trigger_commands(commands, source, target);
	commands = index_commands(commands, source, target);
	commands = option_commands(commands, source, target);
	table_close(target, NoLock);
	table_close(source, AccessShareLock);
	if (commands == NIL)
		return;
	AlterTableInternal(to, commands, false);
	CommandCounterIncrement();
}

/* The same column of two relations: by name in tables, by position in indexes. */
static void
clone_column_statistics(Relation catalog, Oid from, AttrNumber from_number, Oid to,
						AttrNumber to_number)
{
	HeapTuple	source = SearchSysCache2(ATTNUM, ObjectIdGetDatum(from),
										 Int16GetDatum(from_number));
	HeapTuple	target = SearchSysCache2(ATTNUM, ObjectIdGetDatum(to), Int16GetDatum(to_number));
	CatalogChange change = {0};

	if (HeapTupleIsValid(source) && HeapTupleIsValid(target))
	{
		CatalogChangeCopy(&change, catalog, source, Anum_pg_attribute_attstattarget);
		(void) CatalogChangeApply(&change, catalog, target);
	}
	if (HeapTupleIsValid(source))
		ReleaseSysCache(source);
	if (HeapTupleIsValid(target))
		ReleaseSysCache(target);
}

static int
column_count(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	int			count = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;

	ReleaseSysCache(tuple);
	return count;
}

void
CloneStatisticsSettings(Oid from, Oid to)
{
	Relation	attributes = table_open(AttributeRelationId, RowExclusiveLock);
	Relation	statistics = table_open(StatisticExtRelationId, RowExclusiveLock);
	ListCell   *cell;

	for (AttrNumber i = 1; i <= column_count(from); i++)
	{
		char	   *name = get_attname(from, i, true);

		if (name != NULL)
			clone_column_statistics(attributes, from, i, to, get_attnum(to, name));
	}
	foreach(cell, ObjectPairs(from, to))
	{
		ObjectPair *pair = lfirst(cell);

		if (pair->class_id == RelationRelationId)
			for (AttrNumber i = 1; i <= column_count(pair->from); i++)
				clone_column_statistics(attributes, pair->from, i, pair->to, i);
		else if (pair->class_id == StatisticExtRelationId)
		{
			HeapTuple	source = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(pair->from));
			HeapTuple	target = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(pair->to));
			CatalogChange change = {0};

			CatalogChangeCopy(&change, statistics, source, Anum_pg_statistic_ext_stxstattarget);
			(void) CatalogChangeApply(&change, statistics, target);
			ReleaseSysCache(source);
			ReleaseSysCache(target);
		}
	}
	table_close(statistics, RowExclusiveLock);
	table_close(attributes, RowExclusiveLock);
	CommandCounterIncrement();
}
