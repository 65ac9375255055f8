/*-------------------------------------------------------------------------
 *
 * definition.c
 *		A store's columns, from what a user wrote.
 *
 * A column list is SQL, so that SQL's own parser reads it: as the middle of a
 * CREATE TABLE, of which only plain columns with NOT NULL and DEFAULT are then
 * accepted.  Types and defaults are written down again with every name
 * qualified, because later versions are made under another search_path.
 *
 * Locks: none beyond catalog look-ups.
 * Must not know: stores' tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "store/definition.h"

#include "access/htup_details.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_node.h"
#include "parser/parse_type.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "avro/schema_columns.h"
#include "catalog/store.h"
#include "common/compat.h"
#include "store/arguments.h"

#define DEFINITION_HINT \
	"It takes columns as in CREATE TABLE, such as 'user_id bigint, country text NOT NULL DEFAULT ''xx''', or an Avro schema."

bool
DefinitionIsAvro(const char *definition)
{
	definition += strspn(definition, " \t\r\n");
	if (*definition == '"')
	{
		/* A name of a type; a column that is called so would have a type of its own. */
		definition += 1 + strcspn(definition + 1, "\"");
		return *definition == '"' && definition[1 + strspn(definition + 1, " \t\r\n")] == '\0';
	}
	return *definition == '{' || *definition == '[';
}

pg_noreturn static void
refuse_definition(const char *what, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s definition", what),
			 errdetail_internal("%s", detail),
			 errhint(DEFINITION_HINT)));
	pg_unreachable();
}

static void
check_name(const char *name)
{
	if (name[0] == '_')
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("column name \"%s\" is reserved", name),
				 errdetail("Names that begin with \"_\" are for bookkeeping.")));
}

char *
DefinitionTypeName(Oid type, int32 typmod)
{
	int			nest_level = NewGUCNestLevel();
	char	   *text;

	(void) set_config_option("search_path", "pg_catalog", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	text = format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN);
	AtEOXact_GUC(false, nest_level);
	return text;
}

/* A default as SQL text that means the same under any search_path. */
static char *
default_text(Node *raw, const char *column, Oid type, int32 typmod)
{
	ParseState *pstate = make_parsestate(NULL);
	Node	   *expression = cookDefault(pstate, raw, type, typmod, column, 0);
	int			nest_level;
	char	   *text;

	free_parsestate(pstate);
	if (contain_volatile_functions(expression))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("default of column \"%s\" is volatile", column),
				 errdetail("A default stands for a field that a record does not have, the same in every record of a push.")));
	nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	text = deparse_expression(expression, NIL, false, false);
	AtEOXact_GUC(false, nest_level);
	return text;
}

static bool
is_temporary(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid			schema = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;

	ReleaseSysCache(tuple);
	return isAnyTempNamespace(schema);
}

static StoreColumn *
column_from_sql(ColumnDef *definition, bool is_key, const char *what)
{
	StoreColumn *column = palloc0(sizeof(StoreColumn));
	Oid			type;
	int32		typmod;
	AclResult	acl;
	ListCell   *cell;

	column->name = definition->colname;
	column->is_key = is_key;
	column->not_null = is_key;
	check_name(column->name);
	if (definition->typeName == NULL)
		refuse_definition(what, psprintf("Column \"%s\" has no type.", column->name));
	if (definition->typeName->setof)
		refuse_definition(what, psprintf("Column \"%s\" is declared SETOF.", column->name));
	typenameTypeIdAndMod(NULL, definition->typeName, &type, &typmod);
	if (is_temporary(type))
		refuse_definition(what, psprintf("Column \"%s\" has type %s, which is gone after this session.",
										 column->name, format_type_be(type)));
	acl = object_aclcheck(TypeRelationId, type, GetUserId(), ACL_USAGE);
	if (acl != ACLCHECK_OK)
		aclcheck_error_type(acl, type);
	if (get_typtype(type) == TYPTYPE_PSEUDO)
		refuse_definition(what, psprintf("Column \"%s\" has pseudo-type %s.", column->name,
										 format_type_be(type)));
	column->type_name = DefinitionTypeName(type, typmod);
	if (definition->collClause != NULL)
		refuse_definition(what, psprintf("Column \"%s\" has a COLLATE clause.", column->name));

	foreach(cell, definition->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, cell);

		switch (constraint->contype)
		{
			case CONSTR_NOTNULL:
				column->not_null = true;
				break;
			case CONSTR_NULL:
				if (is_key)
					refuse_definition(what, psprintf("Key column \"%s\" cannot be NULL.",
													 column->name));
				break;
			case CONSTR_DEFAULT:
				if (is_key)
					refuse_definition(what, psprintf("Key column \"%s\" cannot have a default.",
													 column->name));
				column->default_expression = default_text(constraint->raw_expr, column->name,
														  type, typmod);
				break;
			default:
				refuse_definition(what, psprintf("Column \"%s\" has a constraint other than NOT NULL and DEFAULT.",
												 column->name));
		}
	}
	return column;
}

static List *
columns_from_sql(const char *definition, bool is_key, const char *what)
{
	List	   *statements = ParseUserText("CREATE TABLE records (", definition, "\n)",
										   DEFINITION_HINT);
	CreateStmt *statement;
	List	   *columns = NIL;
	ListCell   *cell;

	if (list_length(statements) != 1 ||
		!IsA(linitial_node(RawStmt, statements)->stmt, CreateStmt))
		refuse_definition(what, "It is not a list of columns.");
	statement = castNode(CreateStmt, linitial_node(RawStmt, statements)->stmt);
	if (statement->inhRelations != NIL || statement->partspec != NULL ||
		statement->options != NIL || statement->tablespacename != NULL ||
		statement->accessMethod != NULL || statement->oncommit != ONCOMMIT_NOOP ||
		statement->relation->schemaname != NULL)
		refuse_definition(what, "It is more than a list of columns.");
	if (statement->tableElts == NIL)
		refuse_definition(what, "It has no columns.");
	foreach(cell, statement->tableElts)
	{
		if (!IsA(lfirst(cell), ColumnDef))
			refuse_definition(what, "It holds something else than columns.");
		columns = lappend(columns, column_from_sql(lfirst(cell), is_key, what));
	}
	return columns;
}

static List *
columns_from_avro(const char *definition, bool is_key, const char *what)
{
	List	   *columns = NIL;
	ListCell   *cell;

	foreach(cell, AvroSchemaColumns(definition))
	{
		AvroSchemaColumn *field = lfirst(cell);
		StoreColumn *column = palloc0(sizeof(StoreColumn));
		Oid			type;
		int32		typmod;

		/* A schema that is no record makes one column; key and value must differ in name. */
		column->name = field->name;
		if (is_key && strcmp(field->name, "value") == 0 && !strstr(definition, "\"fields\""))
			column->name = "key";
		check_name(column->name);
		parseTypeString(field->type_name, &type, &typmod, false);
		if (is_key && field->nullable)
			refuse_definition(what, psprintf("Key field \"%s\" may be null.", field->name));
		column->is_key = is_key;
		column->not_null = is_key || !field->nullable;
		column->type_name = DefinitionTypeName(type, typmod);
		column->default_expression = is_key ? NULL : field->default_expr;
		column->source_type = field->source_type;
		columns = lappend(columns, column);
	}
	return columns;
}

List *
DefinitionParse(const char *definition, bool is_key, const char *what)
{
	List	   *columns = DefinitionIsAvro(definition) ?
		columns_from_avro(definition, is_key, what) : columns_from_sql(definition, is_key, what);
	ListCell   *cell;

	if (columns == NIL)
		refuse_definition(what, "It has no columns.");
	foreach(cell, columns)
	{
		StoreColumn *column = lfirst(cell);
		Oid			type;
		int32		typmod;

		if (!is_key)
			break;
		parseTypeString(column->type_name, &type, &typmod, false);
		if (!OidIsValid(GetDefaultOpClass(type, BTREE_AM_OID)))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("key column \"%s\" has type %s, which has no order", column->name,
							column->type_name),
					 errdetail("A key is a primary key: its type needs a default btree operator class.")));
		if (!OidIsValid(get_array_type(type)))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("key column \"%s\" has type %s, of which there are no arrays",
							column->name, column->type_name),
					 errdetail("A store's batch_get takes its keys as arrays."),
					 errhint("Use several key columns, or one of type text or jsonb.")));
	}
	return columns;
}

void
DefinitionCheck(List *columns)
{
	int			values = 0;
	ListCell   *cell;

	foreach(cell, columns)
	{
		StoreColumn *column = lfirst(cell);
		ListCell   *later;

		if (!column->is_key)
			values++;
		for_each_cell(later, columns, lnext(columns, cell))
			if (strcmp(column->name, ((StoreColumn *) lfirst(later))->name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("column \"%s\" specified more than once", column->name)));
	}
	if (values == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a store needs at least one value column")));
	if (list_length(columns) > MaxHeapAttributeNumber - 2)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("a store can have at most %d columns", MaxHeapAttributeNumber - 2)));
}
