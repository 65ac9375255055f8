/*-------------------------------------------------------------------------
 *
 * change.c
 *		Writes as JSON: what a caller patches, and what the log keeps.
 *
 * JSON and not the columns' own types, because the log outlives the shape that the
 * store had when something was written to it: it is read by names.  Values go through
 * the types' input functions, as in records from a topic, so that what does not fit
 * is an error and never rounded.
 *
 * Locks: none.
 * Must not know: which versions there are, and what becomes of a write.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "apply/change.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "common/compat.h"
#include "common/json_input.h"
#include "wire/json.h"
#include "wire/to_json.h"

struct ChangeReader
{
	TupleDesc	columns;
	int			key_count;
	RecordColumn *fields;		/* of all columns */
	JsonReader **readers;		/* of each column alone */
	JsonReader *patches;		/* of all that are no keys */
	MemoryContext context;
};

ChangeReader *
ChangeReaderCreate(TupleDesc columns, int key_count, MemoryContext context)
{
	ChangeReader *reader = MemoryContextAllocZero(context, sizeof(ChangeReader));

	reader->columns = columns;
	reader->key_count = key_count;
	reader->context = context;
	reader->fields = MemoryContextAllocZero(context, columns->natts * sizeof(RecordColumn));
	reader->readers = MemoryContextAllocZero(context, columns->natts * sizeof(JsonReader *));
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(columns, i);

		reader->fields[i].name = NameStr(attribute->attname);
		reader->fields[i].type = attribute->atttypid;
		reader->fields[i].typmod = attribute->atttypmod;
		reader->fields[i].is_key = i < key_count;
		reader->fields[i].default_isnull = true;
	}
	return reader;
}

/* As the readers want it, in UTF-8. */
static char *
text_of_json(const Jsonb *json)
{
	char	   *text = JsonbToCString(NULL, unconstify(JsonbContainer *, &json->root),
									  VARSIZE(json));

	return pg_server_to_any(text, strlen(text), PG_UTF8);
}

/* One value for a column, which stands under the column's name in an object of its own. */
static Datum
read_value(ChangeReader *reader, int column, JsonbValue *value, bool *isnull)
{
	JsonbParseState *state = NULL;
	Jsonb	   *object;
	char	   *text;
	Datum		result;
	DecodeError error;

	if (reader->readers[column] == NULL)
		reader->readers[column] = JsonReaderCreate(&reader->fields[column], 1, "value",
												   reader->context);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	JsonbPushString(&state, WJB_KEY, reader->fields[column].name);
	pushJsonbValue(&state, WJB_VALUE, value);
	object = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	text = text_of_json(object);
	if (!JsonReaderDecode(reader->readers[column], text, strlen(text), &result, isnull, &error))
		ereport(ERROR,
				(errcode(error.sqlstate),
				 errmsg("%s", error.message)));
	return result;
}

static int
find_column(ChangeReader *reader, const JsonbValue *name)
{
	for (int i = 0; i < reader->columns->natts; i++)
		if (strlen(reader->fields[i].name) == name->val.string.len &&
			memcmp(reader->fields[i].name, name->val.string.val, name->val.string.len) == 0)
			return i;
	return -1;
}

static void
check_field(ChangeReader *reader, const JsonbValue *name)
{
	int			column = find_column(reader, name);

	if (column < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("there is no column \"%.*s\" to write to", name->val.string.len,
						name->val.string.val)));
	if (column < reader->key_count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" is a key", reader->fields[column].name),
				 errhint("Put a row with the other key, and delete this one.")));
}

FieldWrite *
ChangeReadPatch(ChangeReader *reader, const Jsonb *patch)
{
	int			count = reader->columns->natts - reader->key_count;
	FieldWrite *fields = palloc(count * sizeof(FieldWrite));
	JsonbIterator *iterator;
	JsonbValue	name;
	JsonbValue	value;
	DecodeError error;
	char	   *text;

	if (!JB_ROOT_IS_OBJECT(patch))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a patch must be a JSON object"),
				 errhint("For example '{\"clicks\": {\"$add\": 1}}'.")));
	iterator = JsonbIteratorInit(unconstify(JsonbContainer *, &patch->root));
	(void) JsonbIteratorNext(&iterator, &name, true);
	while (JsonbIteratorNext(&iterator, &name, true) == WJB_KEY)
	{
		check_field(reader, &name);
		(void) JsonbIteratorNext(&iterator, &value, true);
	}

	if (reader->patches == NULL)
		reader->patches = JsonReaderCreate(reader->fields + reader->key_count, count, "patch",
										   reader->context);
	text = text_of_json(patch);
	if (!JsonReaderDecodeUpdate(reader->patches, text, strlen(text), fields, &error))
		ereport(ERROR,
				(errcode(error.sqlstate),
				 errmsg("%s", error.message),
				 error.sqlstate != ERRCODE_INVALID_PARAMETER_VALUE ? 0 :
				 errhint("A column takes a value, or {\"$add\": number}, {\"$union\": array, \"$diff\": array} of an array, "
						 "{\"$merge\": object, \"$remove\": array of keys} of a jsonb object.")));
	return fields;
}

FieldWrite *
ChangeReadRow(ChangeReader *reader, const Jsonb *row)
{
	FieldWrite *fields = palloc0((reader->columns->natts - reader->key_count) * sizeof(FieldWrite));
	JsonbIterator *iterator = JsonbIteratorInit(unconstify(JsonbContainer *, &row->root));
	JsonbValue	name;
	JsonbValue	value;

	(void) JsonbIteratorNext(&iterator, &name, true);
	while (JsonbIteratorNext(&iterator, &name, true) == WJB_KEY)
	{
		int			column = find_column(reader, &name);
		FieldWrite *field;

		(void) JsonbIteratorNext(&iterator, &value, true);
		if (column < reader->key_count)
			continue;
		field = &fields[column - reader->key_count];
		field->change = FIELD_SET;
		field->value = read_value(reader, column, &value, &field->isnull);
	}
	return fields;
}

Datum *
ChangeReadKey(ChangeReader *reader, const Jsonb *key)
{
	Datum	   *values = palloc(reader->key_count * sizeof(Datum));

	for (int i = 0; i < reader->key_count; i++)
	{
		const char *name = reader->fields[i].name;
		JsonbValue	buffer;
		JsonbValue *value = getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &key->root),
														 name, strlen(name), &buffer);
		bool		isnull = true;

		if (value != NULL)
			values[i] = read_value(reader, i, value, &isnull);
		if (isnull)
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("key column \"%s\" has no value", name)));
	}
	return values;
}

/* Is text read as the same value whatever a session's time zone and date style, and the day? */
static bool
reads_the_same(Oid type)
{
	Oid			element = get_base_element_type(type);
	char		category;
	bool		is_preferred;

	get_type_category_preferred(getBaseType(OidIsValid(element) ? element : type), &category,
								&is_preferred);
	return strchr("BNS", category) != NULL || getBaseType(type) == JSONBOID;
}

/* A value in the form in which the log has it. */
static void
push_logged(JsonbParseState **state, Oid type, Datum value, bool isnull)
{
	TupleDesc	descriptor = CreateTemplateTupleDesc(1);
	Jsonb	   *object;
	JsonbValue	buffer;

	TupleDescInitEntry(descriptor, 1, "value", type, -1, 0);
	object = ColumnsToJson(descriptor, 0, 1, &value, &isnull);
	(void) pushJsonbValue(state, WJB_VALUE,
						  getKeyJsonValueFromContainer(&object->root, "value", 5, &buffer));
}

Jsonb *
ChangeToLoggedPatch(ChangeReader *reader, const Jsonb *patch, const FieldWrite *fields)
{
	JsonbParseState *state = NULL;
	JsonbIterator *iterator = JsonbIteratorInit(unconstify(JsonbContainer *, &patch->root));
	JsonbValue	name;
	JsonbValue	value;

	(void) pushJsonbValue(&state, JsonbIteratorNext(&iterator, &name, true), NULL);
	while (JsonbIteratorNext(&iterator, &name, true) == WJB_KEY)
	{
		int			column = find_column(reader, &name);
		Oid			type = reader->fields[column].type;
		const FieldWrite *field = &fields[column - reader->key_count];

		(void) JsonbIteratorNext(&iterator, &value, true);
		(void) pushJsonbValue(&state, WJB_KEY, &name);
		if (reads_the_same(type) || (field->change == FIELD_SET && field->isnull) ||
			field->change == FIELD_ADD)
		{
			(void) pushJsonbValue(&state, WJB_VALUE, &value);
			continue;
		}
		if (field->change == FIELD_SET)
		{
			push_logged(&state, type, field->value, false);
			continue;
		}
		(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		JsonbPushString(&state, WJB_KEY, "$union");
		push_logged(&state, type, field->value, field->isnull);
		JsonbPushString(&state, WJB_KEY, "$diff");
		push_logged(&state, type, field->removed, field->removed_isnull);
		(void) pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}
