/*-------------------------------------------------------------------------
 *
 * bench.c
 *		Our decoder against Avro-C's, inside a server.
 *
 * One record type of 21 fields: a long, 12 doubles, 5 ints and 3 strings, all
 * required or all but the first nullable.  Both sides end with the same thing,
 * an array of Datums in a memory context that is reset every 1,000 records as
 * an ingest worker does.  Ours is AvroReaderDecode; theirs is the documented
 * way, avro_value_read into a generic value and avro_value_get_* for each
 * field.  The sides take turns and each round's sums are compared, so that
 * neither can skip work.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <avro.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "avro/reader.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(bench_avro_decode);

#define FIELDS			21
#define RESET_RECORDS	1000
#define MAX_ROUNDS		101

/* So much that a reset keeps all memory: page faults are not what is measured. */
#define CONTEXT_BYTES	(1024 * 1024)

typedef struct Records
{
	char	   *data;
	int		   *ends;
	int			count;
} Records;

static const char *
field_type(int field)
{
	return field == 0 ? "long" : field <= 12 ? "double" : field <= 17 ? "int" : "string";
}

static Oid
column_type(int field)
{
	return field == 0 ? INT8OID : field <= 12 ? FLOAT8OID : field <= 17 ? INT4OID : TEXTOID;
}

static char *
make_schema(bool nullable)
{
	StringInfoData text;
	int			i;

	initStringInfo(&text);
	appendStringInfoString(&text, "{\"type\":\"record\",\"name\":\"features\",\"fields\":[");
	for (i = 0; i < FIELDS; i++)
		appendStringInfo(&text, nullable && i > 0 ?
						 "%s{\"name\":\"f%d\",\"type\":[\"null\",\"%s\"]}" :
						 "%s{\"name\":\"f%d\",\"type\":\"%s\"}",
						 i > 0 ? "," : "", i, field_type(i));
	appendStringInfoString(&text, "]}");
	return text.data;
}

static void
append_long(StringInfo data, int64 value)
{
	uint64		rest = ((uint64) value << 1) ^ (uint64) (value >> 63);

	for (; rest >= 0x80; rest >>= 7)
		appendStringInfoChar(data, (char) (rest | 0x80));
	appendStringInfoChar(data, (char) rest);
}

/* Distinct records of about 140 bytes; of the nullable ones every 16th field is null. */
static void
make_records(Records *records, int count, bool nullable)
{
	StringInfoData data;
	int			i;
	int			j;

	initStringInfo(&data);
	records->ends = palloc(count * sizeof(int));
	records->count = count;
	for (i = 0; i < count; i++)
	{
		for (j = 0; j < FIELDS; j++)
		{
			double		real = i * 0.001 + j;
			char		text[16];

			if (nullable && j > 0)
			{
				append_long(&data, (i + j) % 16 != 0);
				if ((i + j) % 16 == 0)
					continue;
			}
			if (j == 0)
				append_long(&data, (int64) i * 7919);
			else if (j <= 12)
				appendBinaryStringInfo(&data, (char *) &real, sizeof(real));
			else if (j <= 17)
				append_long(&data, (i * (j + 1)) % 100000);
			else
			{
				snprintf(text, sizeof(text), "value_%d", (i + j) % 1000);
				append_long(&data, (int64) strlen(text));
				appendStringInfoString(&data, text);
			}
		}
		records->ends[i] = data.len;
	}
	records->data = data.data;
}

static uint64
sum_datums(const Datum *values, const bool *isnull)
{
	uint64		sum = 0;
	int			i;

	for (i = 0; i < 18; i++)
		sum += isnull[i] ? 1 : (uint64) values[i];
	for (; i < FIELDS; i++)
		sum += isnull[i] ? 1 : VARSIZE(DatumGetPointer(values[i]));
	return sum;
}

static AvroReader *
make_reader(const char *schema)
{
	AvroColumn	columns[FIELDS];
	DecodeError error;
	AvroReader *reader;
	int			i;

	memset(columns, 0, sizeof(columns));
	for (i = 0; i < FIELDS; i++)
	{
		columns[i].field = psprintf("f%d", i);
		columns[i].type = column_type(i);
		columns[i].typmod = -1;
	}
	reader = AvroReaderCreate(&schema, 1, NULL, columns, FIELDS, CurrentMemoryContext, &error);
	if (reader == NULL)
		elog(ERROR, "%s", error.message);
	return reader;
}

static uint64
run_ours(AvroReader *reader, const Records *records, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	Datum		values[FIELDS];
	bool		isnull[FIELDS];
	DecodeError error;
	uint64		sum = 0;
	int			start = 0;
	int			i;

	for (i = 0; i < records->count; i++)
	{
		if (!AvroReaderDecode(reader, records->data + start, records->ends[i] - start,
							  values, isnull, &error))
			elog(ERROR, "%s", error.message);
		sum += sum_datums(values, isnull);
		start = records->ends[i];
		if (i % RESET_RECORDS == 0)
			MemoryContextReset(context);
	}
	MemoryContextSwitchTo(caller);
	return sum;
}

static void
get_field(avro_value_t *record, int field, bool nullable, Datum *value, bool *isnull)
{
	avro_value_t outer;
	avro_value_t inner;
	int64_t		number8;
	int32_t		number4;
	double		real;
	const char *text;
	size_t		bytes;
	int			branch;

	avro_value_get_by_index(record, field, &outer, NULL);
	inner = outer;
	if (nullable && field > 0)
	{
		avro_value_get_discriminant(&outer, &branch);
		if (branch == 0)
		{
			*value = (Datum) 0;
			*isnull = true;
			return;
		}
		avro_value_get_current_branch(&outer, &inner);
	}
	*isnull = false;
	if (field == 0)
	{
		avro_value_get_long(&inner, &number8);
		*value = Int64GetDatum(number8);
	}
	else if (field <= 12)
	{
		avro_value_get_double(&inner, &real);
		*value = Float8GetDatum(real);
	}
	else if (field <= 17)
	{
		avro_value_get_int(&inner, &number4);
		*value = Int32GetDatum(number4);
	}
	else
	{
		/* the size counts the terminator */
		avro_value_get_string(&inner, &text, &bytes);
		*value = PointerGetDatum(cstring_to_text_with_len(text, (int) bytes - 1));
	}
}

static uint64
run_theirs(avro_value_t *value, avro_reader_t reader, const Records *records, bool nullable,
		   MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	Datum		values[FIELDS];
	bool		isnull[FIELDS];
	uint64		sum = 0;
	int			start = 0;
	int			i;
	int			j;

	for (i = 0; i < records->count; i++)
	{
		avro_reader_memory_set_source(reader, records->data + start, records->ends[i] - start);
		if (avro_value_read(reader, value) != 0)
			elog(ERROR, "%s", avro_strerror());
		for (j = 0; j < FIELDS; j++)
			get_field(value, j, nullable, &values[j], &isnull[j]);
		sum += sum_datums(values, isnull);
		start = records->ends[i];
		if (i % RESET_RECORDS == 0)
			MemoryContextReset(context);
	}
	MemoryContextSwitchTo(caller);
	return sum;
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

static double
seconds_since(instr_time start)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return INSTR_TIME_GET_DOUBLE(now);
}

/* bench_avro_decode(nullable boolean, records integer, rounds integer) returns text */
Datum
bench_avro_decode(PG_FUNCTION_ARGS)
{
	bool		nullable = PG_GETARG_BOOL(0);
	int			rounds = Min(PG_GETARG_INT32(2), MAX_ROUNDS);
	char	   *schema = make_schema(nullable);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "bench", 0,
												  CONTEXT_BYTES, CONTEXT_BYTES);
	double		ours[MAX_ROUNDS];
	double		theirs[MAX_ROUNDS];
	avro_schema_t avro_schema;
	avro_value_iface_t *interface;
	avro_value_t value;
	avro_reader_t avro_reader;
	AvroReader *reader;
	Records		records;
	int			i;

	make_records(&records, PG_GETARG_INT32(1), nullable);
	reader = make_reader(schema);
	if (avro_schema_from_json_length(schema, strlen(schema), &avro_schema) != 0)
		elog(ERROR, "%s", avro_strerror());
	interface = avro_generic_class_from_schema(avro_schema);
	avro_generic_value_new(interface, &value);
	avro_reader = avro_reader_memory(records.data, records.ends[0]);

	for (i = 0; i < rounds; i++)
	{
		instr_time	start;
		uint64		sum;

		INSTR_TIME_SET_CURRENT(start);
		sum = run_ours(reader, &records, context);
		ours[i] = seconds_since(start);
		INSTR_TIME_SET_CURRENT(start);
		if (run_theirs(&value, avro_reader, &records, nullable, context) != sum)
			elog(ERROR, "the two decoders do not agree");
		theirs[i] = seconds_since(start);
	}
	qsort(ours, rounds, sizeof(double), compare_doubles);
	qsort(theirs, rounds, sizeof(double), compare_doubles);

	avro_reader_free(avro_reader);
	avro_value_decref(&value);
	avro_value_iface_decref(interface);
	avro_schema_decref(avro_schema);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(
		"%-22s %8.2f M/s %6.1f ns   %8.2f M/s %6.1f ns   %5.1f x",
		nullable ? "20 nullable unions" : "all required",
		records.count / ours[rounds / 2] / 1e6, ours[rounds / 2] / records.count * 1e9,
		records.count / theirs[rounds / 2] / 1e6, theirs[rounds / 2] / records.count * 1e9,
		theirs[rounds / 2] / ours[rounds / 2])));
}
