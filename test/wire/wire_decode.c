/*-------------------------------------------------------------------------
 *
 * wire_decode.c
 *		The decoder of records as functions of SQL, without Kafka.
 *
 * A library for tests alone: it reaches venice.so as the ingest workers do.
 * The columns are those of a table, the first of them keys; the options have the
 * names of a store's, with "key_schema", "value_schema", "schemas" (an object,
 * id to text), and "patch": true for a record whose header says so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"

#include "worker/ingest_api.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(wire_decode);
PG_FUNCTION_INFO_V1(wire_fuzz);

extern PGDLLEXPORT Datum wire_decode(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum wire_fuzz(PG_FUNCTION_ARGS);

static const IngestApi *api;

typedef struct Target
{
	TupleDesc	columns;
	int			keys;
	const Jsonb *options;
	RecordDecoder *decoder;
	bool		is_patch;
	Datum	   *values;
	bool	   *isnull;
	FieldWrite *fields;
} Target;

static WireFormat
format_of(const Jsonb *options, const char *key)
{
	char	   *name = api->OptionText(options, key);
	WireFormat	format = WIRE_JSON;

	if (name != NULL && !api->WireFormatParse(name, &format))
		elog(ERROR, "no format \"%s\"", name);
	return format;
}

static Jsonb *
object_of(const Jsonb *options, const char *key)
{
	char	   *text = api->OptionText(options, key);

	return text == NULL ? NULL :
		DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

static bool
is_option(const Jsonb *options, const char *key, const char *wanted)
{
	char	   *value = api->OptionText(options, key);

	return value != NULL && strcmp(value, wanted) == 0;
}

static void
target_init(Target *target, Oid relation_id, int keys, const Jsonb *options, bool write_partial)
{
	Relation	relation = table_open(relation_id, AccessShareLock);
	Jsonb	   *fields = object_of(options, "fields");
	RecordFormat format = {0};
	RecordColumn *columns;
	int			count;

	target->columns = CreateTupleDescCopy(RelationGetDescr(relation));
	target->keys = keys;
	target->options = options;
	target->is_patch = is_option(options, "patch", "true");
	count = target->columns->natts;
	columns = palloc0(count * sizeof(RecordColumn));
	for (int i = 0; i < count; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), i);

		columns[i].name = pstrdup(NameStr(attribute->attname));
		columns[i].field = fields != NULL ? api->OptionText(fields, columns[i].name) : NULL;
		columns[i].type = attribute->atttypid;
		columns[i].typmod = attribute->atttypmod;
		columns[i].is_key = i < keys;
		columns[i].not_null = attribute->attnotnull;
		columns[i].default_isnull = true;
	}
	table_close(relation, AccessShareLock);

	format.key_format = format_of(options, "key_format");
	format.value_format = format_of(options, "value_format");
	format.key_schema = api->OptionText(options, "key_schema");
	format.value_schema = api->OptionText(options, "value_schema");
	format.write_partial = write_partial;
	format.max_record_bytes = 1024 * 1024;
	format.columns = columns;
	format.ncolumns = count;
	target->decoder = api->RecordDecoderCreate(&format, CurrentMemoryContext);
	target->values = palloc0(count * sizeof(Datum));
	target->isnull = palloc0(count * sizeof(bool));
	target->fields = palloc0(count * sizeof(FieldWrite));
}

static RecordVerdict
target_decode(Target *target, const RawRecord *record, DecodeError *error)
{
	Jsonb	   *schemas = object_of(target->options, "schemas");
	RecordVerdict verdict;
	int32		schema_id;

	while ((verdict = api->RecordDecodeWrite(target->decoder, record, target->values,
											 target->isnull, target->fields, &schema_id,
											 error)) == RECORD_NEEDS_SCHEMA)
	{
		char	   *text = schemas == NULL ? NULL :
			api->OptionText(schemas, psprintf("%d", schema_id));
		DecodeError refusal = {ERRCODE_UNDEFINED_OBJECT, "the test has no such schema"};

		if (text == NULL)
			api->RecordDecoderRefuseSchema(target->decoder, schema_id, &refusal);
		else
			api->RecordDecoderAddSchema(target->decoder, schema_id, (const char *const *) &text, 1);
	}
	return verdict;
}

static RawRecord
raw_record(const Target *target, const bytea *key, const bytea *value)
{
	RawRecord	record = {0};

	record.is_patch = target->is_patch;
	record.key_bytes = record.value_bytes = -1;
	if (key != NULL)
	{
		record.key = VARDATA_ANY(key);
		record.key_bytes = VARSIZE_ANY_EXHDR(key);
	}
	if (value != NULL)
	{
		record.value = VARDATA_ANY(value);
		record.value_bytes = VARSIZE_ANY_EXHDR(value);
	}
	return record;
}

static char *
text_of(Oid type, Datum value, bool isnull)
{
	bool		is_varlena;
	Oid			function;

	if (isnull)
		return "NULL";
	getTypeOutputInfo(type, &function, &is_varlena);
	return OidOutputFunctionCall(function, value);
}

/* Keys as a=1, other columns as b:=1, or c+=1, or d+={…} d-={…}; none that is kept. */
static void
describe(const Target *target, RecordVerdict verdict, StringInfo result)
{
	for (int i = 0; i < target->columns->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(target->columns, i);
		const char *name = NameStr(attribute->attname);
		const FieldWrite *field = &target->fields[i];
		Oid			type = attribute->atttypid;
		Oid			removed = type == JSONBOID ? TEXTARRAYOID : type;

		if (i < target->keys)
			appendStringInfo(result, " %s=%s", name, text_of(type, target->values[i], target->isnull[i]));
		else if (verdict == RECORD_DELETE || field->change == FIELD_KEEP)
			continue;
		else if (field->change == FIELD_SET)
			appendStringInfo(result, " %s:=%s", name, text_of(type, field->value, field->isnull));
		else
		{
			appendStringInfo(result, " %s+=%s", name, text_of(type, field->value, field->isnull));
			if (field->change == FIELD_MEMBERS)
				appendStringInfo(result, " %s-=%s", name,
								 text_of(removed, field->removed, field->removed_isnull));
		}
	}
}

/* wire_decode(columns regclass, keys int, options jsonb, key bytea, value bytea) → text */
Datum
wire_decode(PG_FUNCTION_ARGS)
{
	static const char *const verdicts[] = {"put", "update", "delete"};
	const Jsonb *options = PG_GETARG_JSONB_P(2);
	StringInfoData result;
	RawRecord	record;
	RecordVerdict verdict;
	DecodeError error;
	Target		target;

	api = *find_rendezvous_variable(INGEST_API_VARIABLE);
	target_init(&target, PG_GETARG_OID(0), PG_GETARG_INT32(1), options,
				is_option(options, "write_mode", "partial"));
	record = raw_record(&target, PG_ARGISNULL(3) ? NULL : PG_GETARG_BYTEA_PP(3),
						PG_ARGISNULL(4) ? NULL : PG_GETARG_BYTEA_PP(4));
	verdict = target_decode(&target, &record, &error);
	initStringInfo(&result);
	if (verdict == RECORD_REJECTED)
		appendStringInfo(&result, "%s: %s", unpack_sql_state(error.sqlstate), error.message);
	else
	{
		appendStringInfoString(&result, verdicts[verdict]);
		describe(&target, verdict, &result);
	}
	PG_RETURN_TEXT_P(cstring_to_text(result.data));
}

/* An error of a type's input function becomes a rejected record; any other is one of ours. */
static RecordVerdict
decode_safely(Target *target, const RawRecord *record, DecodeError *error)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile RecordVerdict verdict = RECORD_REJECTED;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		verdict = target_decode(target, record, error);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *raised;

		MemoryContextSwitchTo(context);
		raised = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		error->sqlstate = raised->sqlerrcode;
		strlcpy(error->message, raised->message, sizeof(error->message));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return verdict;
}

static uint32
next_random(uint32 *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* A few bytes changed, put in or taken out; what stands in JSON most often of all. */
static int
mutate(char *data, int bytes, int capacity, uint32 *state)
{
	static const char likely[] = "{}[]\",:$\\0-9nulltruefalse.e+\0\1\2\4\377";

	for (uint32 i = next_random(state) % 4; i < 4; i++)
	{
		int			at = bytes > 0 ? next_random(state) % bytes : 0;
		char		byte = next_random(state) % 2 ? likely[next_random(state) % (sizeof(likely) - 1)] :
			(char) next_random(state);

		switch (next_random(state) % 3)
		{
			case 0:
				if (bytes > 0)
					data[at] = byte;
				break;
			case 1:
				if (bytes < capacity)
				{
					memmove(data + at + 1, data + at, bytes - at);
					data[at] = byte;
					bytes++;
				}
				break;
			default:
				if (bytes > 0)
				{
					memmove(data + at, data + at + 1, bytes - at - 1);
					bytes--;
				}
		}
	}
	return bytes;
}

/*
 * What an update sets is what the whole record has, and what it keeps the whole record does
 * not have.  An operation is a value like any other to the whole record.
 */
static void
compare(const Target *full, const Target *update, const bytea *value)
{
	for (int i = full->keys; i < full->columns->natts; i++)
	{
		const FieldWrite *field = &update->fields[i];
		const FieldWrite *whole = &full->fields[i];
		Oid			type = TupleDescAttr(full->columns, i)->atttypid;

		if (field->change == FIELD_ADD || field->change == FIELD_MEMBERS)
			continue;
		if (field->change == FIELD_KEEP ? !whole->isnull :
			field->isnull != whole->isnull ||
			strcmp(text_of(type, field->value, field->isnull),
				   text_of(type, whole->value, whole->isnull)) != 0)
			elog(ERROR, "column %d differs: %s", i,
				 TextDatumGetCString(DirectFunctionCall2(binary_encode, PointerGetDatum(value),
														 CStringGetTextDatum("hex"))));
	}
}

/*
 * wire_fuzz(columns regclass, keys int, options jsonb, key bytea, value bytea, rounds int,
 *			 seed int, compared bool) → text
 *
 * Decodes variations of the value.  Raises whatever is not the fault of data; compared
 * with the whole record of the same bytes, if that is asked for.
 */
Datum
wire_fuzz(PG_FUNCTION_ARGS)
{
	const Jsonb *options = PG_GETARG_JSONB_P(2);
	const bytea *key = PG_GETARG_BYTEA_PP(3);
	const bytea *seed_value = PG_GETARG_BYTEA_PP(4);
	uint32		state = PG_GETARG_INT32(6);
	int			seed_bytes = VARSIZE_ANY_EXHDR(seed_value);
	bytea	   *value = palloc(VARHDRSZ + seed_bytes + 64);
	MemoryContext rounds = AllocSetContextCreate(CurrentMemoryContext, "round",
												 ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller;
	int			updates = 0;
	Target		full;
	Target		update;

	api = *find_rendezvous_variable(INGEST_API_VARIABLE);
	target_init(&update, PG_GETARG_OID(0), PG_GETARG_INT32(1), options, true);
	if (PG_GETARG_BOOL(7))
		target_init(&full, PG_GETARG_OID(0), PG_GETARG_INT32(1), options, false);
	caller = MemoryContextSwitchTo(rounds);
	for (int i = 0; i < PG_GETARG_INT32(5); i++)
	{
		DecodeError error = {0};
		RawRecord	record;
		RecordVerdict verdict;

		CHECK_FOR_INTERRUPTS();
		memcpy(VARDATA(value), VARDATA_ANY(seed_value), seed_bytes);
		SET_VARSIZE(value, VARHDRSZ + mutate(VARDATA(value), seed_bytes, seed_bytes + 64, &state));
		record = raw_record(&update, key, value);
		verdict = decode_safely(&update, &record, &error);
		updates += verdict == RECORD_UPDATE;
		if (verdict == RECORD_REJECTED)
		{
			int			category = ERRCODE_TO_CATEGORY(error.sqlstate);

			if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_PROGRAM_LIMIT_EXCEEDED &&
				category != ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION &&
				error.sqlstate != ERRCODE_DATATYPE_MISMATCH)
				elog(ERROR, "round %d: %s: %s", i, unpack_sql_state(error.sqlstate), error.message);
		}
		if (PG_GETARG_BOOL(7))
		{
			DecodeError ignored;
			bool		is_operation = error.sqlstate == ERRCODE_INVALID_PARAMETER_VALUE ||
				error.sqlstate == ERRCODE_DATATYPE_MISMATCH;

			record.is_patch = false;
			if (decode_safely(&full, &record, &ignored) == RECORD_PUT && !is_operation)
			{
				if (verdict != RECORD_UPDATE)
					elog(ERROR, "round %d: the whole record can be read, the update cannot: %s", i,
						 error.message);
				compare(&full, &update, value);
			}
		}
		MemoryContextReset(rounds);
	}
	MemoryContextSwitchTo(caller);
	PG_RETURN_TEXT_P(cstring_to_text(updates == 0 ? "nothing could be read" :
									 updates == PG_GETARG_INT32(5) ? "nothing was rejected" : "ok"));
}
