/*-------------------------------------------------------------------------
 *
 * schema_columns.c
 *		The columns of a store that is made from an Avro schema.
 *
 * Locks: none.  Must not know: stores.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "avro/schema_columns.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "avro/convert.h"
#include "avro/resolve.h"
#include "avro/scalar.h"
#include "common/compat.h"

/* A schema for people is cut here. */
#define SOURCE_TYPE_BYTES	256

pg_noreturn static void
raise_invalid(const DecodeError *error)
{
	ereport(ERROR,
			(errcode(error->sqlstate == ERRCODE_PROGRAM_LIMIT_EXCEEDED ?
					 ERRCODE_PROGRAM_LIMIT_EXCEEDED : ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s", error->message)));
}

/*
 * default_literal
 *		A field's default as a quoted SQL literal of type; NULL if it is null.
 */
static char *
default_literal(const AvroField *field, Oid type)
{
	DecodeError error;
	AvroPlan   *plan;
	AvroConvert *convert;
	AvroCursor	cursor;
	Datum		value;
	bool		isnull;
	Oid			output;
	bool		is_varlena;
	int			nest_level;
	char	   *text;

	if (field->default_data == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the default of field \"%s\" does not suit its type", field->name)));
	plan = AvroResolve(field->schema, field->schema, CurrentMemoryContext, &error);
	if (plan == NULL)
		raise_invalid(&error);
	convert = AvroConvertCreate(plan, type, -1, CurrentMemoryContext, &error);
	if (convert == NULL)
		raise_invalid(&error);
	AvroCursorInit(&cursor, field->default_data, field->default_bytes, &error);
	if (!AvroConvertRead(convert, &cursor, &value, &isnull))
		raise_invalid(&error);
	if (isnull)
		return NULL;

	/* the literal may be read in another session */
	nest_level = NewGUCNestLevel();
	(void) set_config_option("datestyle", "ISO", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("extra_float_digits", "3", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	getTypeOutputInfo(type, &output, &is_varlena);
	text = OidOutputFunctionCall(output, value);
	AtEOXact_GUC(true, nest_level);
	return quote_literal_cstr(text);
}

static AvroSchemaColumn *
make_column(const char *name, const AvroSchema *schema, const AvroField *field)
{
	AvroSchemaColumn *column = palloc0(sizeof(AvroSchemaColumn));
	Oid			type = AvroNaturalType(schema);

	if (strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("field \"%s\" has a name too long for a column", name),
				 errdetail("A column's name has at most %d bytes.", NAMEDATALEN - 1),
				 errhint("Declare the columns, and name their fields in the option \"fields\".")));
	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("field \"%s\" has no type but null", name),
				 errhint("Declare the columns, with a type of your choice for this one.")));
	column->name = pstrdup(name);
	column->type_name = format_type_be(type);
	(void) AvroWithoutNull(schema, &column->nullable);
	if (field != NULL && field->has_default)
		column->default_expr = default_literal(field, type);
	column->source_type = AvroSchemaDescribe(schema, palloc(SOURCE_TYPE_BYTES),
											 SOURCE_TYPE_BYTES);
	return column;
}

List *
AvroSchemaColumns(const char *schema_text)
{
	AvroNames	names = {0};
	List	   *columns = NIL;
	DecodeError error;
	AvroSchema *schema;
	int			i;

	schema = AvroSchemaParse(schema_text, &names, CurrentMemoryContext, &error);
	if (schema == NULL)
		raise_invalid(&error);
	if (schema->type != AVRO_RECORD)
		return list_make1(make_column("value", schema, NULL));
	for (i = 0; i < schema->count; i++)
		columns = lappend(columns, make_column(schema->fields[i].name, schema->fields[i].schema,
											   &schema->fields[i]));
	return columns;
}
