/*-------------------------------------------------------------------------
 *
 * reader.c
 *		Binary Avro to PostgreSQL values.
 *
 * A reader is a flat program that follows the writer's bytes from the first
 * to the last, one operation a field.  Scalars that need no conversion, nearly
 * all of nearly every schema, are decoded by the loop itself; whatever else is
 * one call to AvroConvertRead.  Nested records on the way to a column are part
 * of the same program, fields that no column wants are skipped, and defaults
 * are programs over bytes of their own.
 *
 * The text and bytea values of a datum are laid out one after the other in a
 * single allocation: each is a length in the datum that becomes a header here,
 * so the size of the datum bounds that of the values.
 *
 * Locks: none.  Must not know: tables, topics, schema ids.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "avro/reader.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "avro/convert.h"
#include "avro/decode.h"
#include "avro/resolve.h"
#include "avro/scalar.h"
#include "avro/to_jsonb.h"

/* What a varlena in the shared allocation may need beside its bytes: header and alignment. */
#define VARLENA_OVERHEAD	(VARHDRSZ + 4)

/* A short one is copied as if it had this length, to spare a call; there must be room for that. */
#define VARLENA_SLACK		16

/* So that sums of sizes cannot overflow, and what is copied can be palloc'd. */
#define MAX_DATUM_BYTES		(MaxAllocSize / 2)

typedef enum OpCode
{
	OP_RECORD,					/* nothing but the test for null, if skip ops follow */
	OP_BOOL,
	OP_INT4,
	OP_INT8,
	OP_FLOAT4,
	OP_FLOAT8,
	OP_TEXT,
	OP_BYTEA,
	OP_CONVERT,
	OP_SKIP,
	OP_MARK,					/* remember this place, to decode a value once more */
	OP_RETURN,					/* go back to it */
	OP_ENTER_DEFAULT,
	OP_LEAVE_DEFAULT,
	OP_CONSTANT,				/* a column's own default */
	OP_END
} OpCode;

typedef struct Op
{
	uint8		code;
	int8		null_branch;	/* if a branch number comes first: that of null; else -1 */
	int			skip;			/* how many ops to pass over at null */
	int			column;
	const char *field;			/* for messages; NULL for the whole datum */
	union
	{
		AvroConvert *convert;
		const AvroSchema *skipped;
		const AvroMissing *missing;
	}			arg;
} Op;

/* A column and what is left of its path. */
typedef struct Target
{
	int			column;
	const char *path;			/* NULL when the value itself is meant */
} Target;

/* A column whose values are looked at once more when the datum is read. */
typedef struct Check
{
	int			column;
	bool		not_null;
	Oid			domain;			/* InvalidOid when the type is none */
	void	   *domain_cache;
} Check;

struct AvroReader
{
	Op		   *ops;
	int			nops;
	int			ops_size;
	AvroColumn *columns;
	int			ncolumns;
	Check	   *checks;
	int			nchecks;
	size_t		varlena_bytes;	/* beside those of the datum; 0 if there are none */
	const AvroPlan *as_written;
	MemoryContext context;
};

static bool emit_value(AvroReader *reader, const AvroPlan *plan, Target *targets, int ntargets,
					   const char *field, DecodeError *error);

static Op *
emit(AvroReader *reader, OpCode code, const char *field)
{
	Op		   *op;

	if (reader->nops == reader->ops_size)
	{
		reader->ops_size *= 2;
		reader->ops = repalloc(reader->ops, reader->ops_size * sizeof(Op));
	}
	op = &reader->ops[reader->nops++];
	memset(op, 0, sizeof(*op));
	op->code = code;
	op->null_branch = -1;
	op->column = -1;
	op->field = field;
	return op;
}

static void
emit_skip(AvroReader *reader, const AvroSchema *writer, const char *field)
{
	emit(reader, OP_SKIP, field)->arg.skipped = writer;
}

/* The operation for a value that has its natural type, or OP_CONVERT. */
static OpCode
scalar_op(const AvroSchema *schema)
{
	if (schema->logical != AVRO_PLAIN)
		return OP_CONVERT;
	switch (schema->type)
	{
		case AVRO_BOOLEAN:
			return OP_BOOL;
		case AVRO_INT:
			return OP_INT4;
		case AVRO_LONG:
			return OP_INT8;
		case AVRO_FLOAT:
			return OP_FLOAT4;
		case AVRO_DOUBLE:
			return OP_FLOAT8;
		case AVRO_STRING:
			return GetDatabaseEncoding() == PG_UTF8 ? OP_TEXT : OP_CONVERT;
		case AVRO_BYTES:
			return OP_BYTEA;
		default:
			return OP_CONVERT;
	}
}

/*
 * without_null
 *		The plan of the other branch of a union of null and one other type.
 *
 * Sets *null_branch to the number of null, or to -1 and returns plan if it is
 * another.
 */
static const AvroPlan *
without_null(const AvroPlan *plan, int8 *null_branch)
{
	int			null;

	*null_branch = -1;
	if (plan->branches == NULL || plan->writer->count != 2)
		return plan;
	null = plan->writer->branches[0]->type == AVRO_NULL ? 0 : 1;
	if (plan->writer->branches[null]->type != AVRO_NULL ||
		plan->branches[0]->refusal != NULL || plan->branches[1]->refusal != NULL)
		return plan;
	*null_branch = (int8) null;
	return plan->branches[1 - null];
}

/* Say in which field it was, unless it is the whole datum; false, always. */
static bool
fail_in(const char *field, DecodeError *error)
{
	DecodeError inner = *error;

	if (field != NULL)
		AvroFail(error, inner.sqlstate, "field \"%s\": %s", field, inner.message);
	return false;
}

/*
 * emit_leaf
 *		A value that is a column's.
 *
 * Only where the bytes are read once may they go to the shared allocation.
 */
static bool
emit_leaf(AvroReader *reader, const AvroPlan *plan, int column, bool once, const char *field,
		  DecodeError *error)
{
	const AvroColumn *target = &reader->columns[column];
	int32		typmod = target->typmod;
	Oid			type = getBaseTypeAndTypmod(target->type, &typmod);
	OpCode		code = OP_CONVERT;
	AvroConvert *convert;
	int8		null_branch;
	Op		   *op;

	plan = without_null(plan, &null_branch);
	convert = AvroConvertCreate(plan, type, typmod, reader->context, error);
	if (convert == NULL)
		return fail_in(field, error);
	if (AvroConvertIsNatural(convert))
		code = scalar_op(plan->reader);
	if (code == OP_TEXT || code == OP_BYTEA)
	{
		if (once)
			reader->varlena_bytes += VARLENA_OVERHEAD;
		else
			code = OP_CONVERT;
	}
	op = emit(reader, code, field);
	op->null_branch = null_branch;
	op->column = column;
	op->arg.convert = convert;
	return true;
}

static void
emit_constant(AvroReader *reader, int column)
{
	if (reader->columns[column].has_default && !reader->columns[column].default_isnull)
		emit(reader, OP_CONSTANT, reader->columns[column].field)->column = column;
}

/*
 * take_targets
 *		Move the targets under a field to the front, one step down their paths.
 *
 * Returns how many there are.
 */
static int
take_targets(Target *targets, int ntargets, const char *field)
{
	size_t		bytes = strlen(field);
	int			taken = 0;
	int			i;

	for (i = 0; i < ntargets; i++)
	{
		Target		target = targets[i];

		if (strncmp(target.path, field, bytes) != 0 ||
			(target.path[bytes] != '\0' && target.path[bytes] != '.'))
			continue;
		target.path = target.path[bytes] == '.' ? target.path + bytes + 1 : NULL;
		targets[i] = targets[taken];
		targets[taken++] = target;
	}
	return taken;
}

static bool
emit_record(AvroReader *reader, const AvroPlan *plan, Target *targets, int ntargets,
			DecodeError *error)
{
	const AvroField *fields = plan->reader->fields;
	int			taken;
	int			i;

	for (i = 0; i < plan->writer->count; i++)
	{
		const AvroStep *step = &plan->steps[i];
		const char *field = step->plan != NULL ? fields[step->field].name :
			plan->writer->fields[i].name;

		taken = step->plan != NULL ? take_targets(targets, ntargets, field) : 0;
		if (taken == 0)
			emit_skip(reader, step->writer, field);
		else if (!emit_value(reader, step->plan, targets, taken, field, error))
			return false;
		targets += taken;
		ntargets -= taken;
	}
	for (i = 0; i < plan->nmissing; i++)
	{
		const AvroMissing *missing = &plan->missing[i];
		const char *field = fields[missing->field].name;

		taken = take_targets(targets, ntargets, field);
		if (taken == 0)
			continue;
		emit(reader, OP_ENTER_DEFAULT, field)->arg.missing = missing;
		if (!emit_value(reader, missing->plan, targets, taken, field, error))
			return false;
		emit(reader, OP_LEAVE_DEFAULT, field);
		reader->varlena_bytes += missing->bytes;
		targets += taken;
		ntargets -= taken;
	}
	for (i = 0; i < ntargets; i++)
		emit_constant(reader, targets[i].column);
	return true;
}

static int
leaves_first(const void *a, const void *b)
{
	return (((const Target *) a)->path != NULL) - (((const Target *) b)->path != NULL);
}

/*
 * emit_value
 *		A value that columns want: as it is, or something inside of it.
 *
 * Most often that is one column.  Each further one reads the value again.
 */
static bool
emit_value(AvroReader *reader, const AvroPlan *plan, Target *targets, int ntargets,
		   const char *field, DecodeError *error)
{
	int8		null_branch;
	int			first;
	int			i;

	qsort(targets, ntargets, sizeof(Target), leaves_first);
	for (i = 0; i < ntargets && targets[i].path == NULL; i++)
	{
		bool		last = i == ntargets - 1;

		if (!last)
			emit(reader, OP_MARK, field);
		if (!emit_leaf(reader, plan, targets[i].column, last, field, error))
			return false;
		if (!last)
			emit(reader, OP_RETURN, field);
	}
	if (i == ntargets)
		return true;
	plan = without_null(plan, &null_branch);
	if (plan->branches != NULL || plan->refusal != NULL || plan->reader->type != AVRO_RECORD)
		return AvroFail(error, ERRCODE_DATATYPE_MISMATCH,
						"\"%s\" is not in a record", targets[i].path);
	first = reader->nops;
	emit(reader, OP_RECORD, field)->null_branch = null_branch;
	if (!emit_record(reader, plan, targets + i, ntargets - i, error))
		return false;
	reader->ops[first].skip = reader->nops - first - 1;
	return true;
}

/* The targets of all columns, from the whole datum on. */
static bool
emit_datum(AvroReader *reader, const AvroPlan *plan, DecodeError *error)
{
	Target	   *targets = palloc(reader->ncolumns * sizeof(Target));
	bool		nullable;
	bool		is_record = AvroWithoutNull(plan->writer, &nullable)->type == AVRO_RECORD;
	int			i;

	for (i = 0; i < reader->ncolumns; i++)
	{
		const char *field = reader->columns[i].field;

		if (field != NULL && !is_record && strcmp(field, "value") == 0)
			field = NULL;
		targets[i].column = i;
		targets[i].path = field;
	}
	if (reader->ncolumns == 0)
		emit_skip(reader, plan->writer, NULL);
	else if (!emit_value(reader, plan, targets, reader->ncolumns, NULL, error))
		return false;
	emit(reader, OP_END, NULL);
	pfree(targets);
	return true;
}

/* Copy the columns and note those whose values have something to be checked. */
static void
copy_columns(AvroReader *reader, const AvroColumn *columns, int ncolumns)
{
	int			i;

	reader->ncolumns = ncolumns;
	reader->columns = palloc0((ncolumns + 1) * sizeof(AvroColumn));
	reader->checks = palloc0((ncolumns + 1) * sizeof(Check));
	for (i = 0; i < ncolumns; i++)
	{
		AvroColumn *column = &reader->columns[i];
		Oid			domain = InvalidOid;
		int16		length;
		bool		byval;

		*column = columns[i];
		if (column->field != NULL)
			column->field = pstrdup(column->field);
		if (column->has_default && !column->default_isnull)
		{
			get_typlenbyval(column->type, &length, &byval);
			column->default_value = datumCopy(column->default_value, byval, length);
		}
		if (getBaseType(column->type) != column->type)
			domain = column->type;
		if (column->not_null || OidIsValid(domain))
		{
			Check	   *check = &reader->checks[reader->nchecks++];

			check->column = i;
			check->not_null = column->not_null;
			check->domain = domain;
		}
	}
}

/* Parse, resolve and compile, in reader's context. */
static bool
compile(AvroReader *reader, const char *const *texts, int ntexts, const char *reader_schema,
		DecodeError *error)
{
	AvroNames	names = {0};
	AvroNames	references;
	AvroSchema *writer = NULL;
	AvroSchema *read_as;
	AvroPlan   *plan;
	int			i;

	for (i = 0; i < ntexts; i++)
	{
		references = names;
		writer = AvroSchemaParse(texts[i], &names, reader->context, error);
		if (writer == NULL)
			return false;
	}
	read_as = writer;
	if (reader_schema != NULL)
	{
		references.nodes = names.nodes;
		read_as = AvroSchemaParse(reader_schema, &references, reader->context, error);
		if (read_as == NULL)
			return false;
	}
	plan = AvroResolve(writer, read_as, reader->context, error);
	if (plan == NULL)
		return false;
	reader->as_written = reader_schema == NULL ? plan :
		AvroResolve(writer, writer, reader->context, error);
	return reader->as_written != NULL && emit_datum(reader, plan, error);
}

AvroReader *
AvroReaderCreate(const char *const *texts, int ntexts, const char *reader_schema,
				 const AvroColumn *columns, int ncolumns, MemoryContext context,
				 DecodeError *error)
{
	/* goes to its parent when it is complete, so that an error frees it */
	MemoryContext own = AllocSetContextCreate(CurrentMemoryContext, "venice avro reader",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(own);
	AvroReader *reader = palloc0(sizeof(AvroReader));
	bool		compiled;

	Assert(ntexts > 0);
	reader->context = own;
	reader->ops_size = 64;
	reader->ops = palloc(reader->ops_size * sizeof(Op));
	copy_columns(reader, columns, ncolumns);
	compiled = compile(reader, texts, ntexts, reader_schema, error);
	MemoryContextSwitchTo(caller);
	if (!compiled)
	{
		MemoryContextDelete(own);
		return NULL;
	}
	MemoryContextSetParent(own, context);
	return reader;
}

/*
 * is_plain_text
 *		Is it ASCII without NULs, which needs no further look?
 */
static inline bool
is_plain_text(const unsigned char *data, size_t bytes)
{
	const uint64 highs = UINT64CONST(0x8080808080808080);
	const uint64 ones = UINT64CONST(0x0101010101010101);
	uint64		found = 0;
	uint64		word;
	size_t		i;

	/* a high bit is set for a byte beyond ASCII, or by borrowing for a zero */
	if (bytes >= sizeof(word))
	{
		for (i = 0; i < bytes - sizeof(word); i += sizeof(word))
		{
			memcpy(&word, data + i, sizeof(word));
			found |= word | (word - ones);
		}
		memcpy(&word, data + bytes - sizeof(word), sizeof(word));
		found |= word | (word - ones);
		return (found & highs) == 0;
	}
	for (i = 0; i < bytes; i++)
		found |= data[i] | (data[i] - ones);
	return (found & 0x80) == 0;
}

static bool
check_text(const unsigned char *data, size_t bytes, DecodeError *error)
{
	if (is_plain_text(data, bytes) ||
		pg_encoding_verifymbstr(PG_UTF8, (const char *) data, (int) bytes) == (int) bytes)
		return true;
	return AvroFail(error, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
					memchr(data, '\0', bytes) != NULL ?
					"Avro string has a NUL character, which text cannot hold" :
					"Avro string is not valid UTF-8");
}

static bool
run_checks(AvroReader *reader, const Datum *values, const bool *isnull, DecodeError *error)
{
	int			i;

	for (i = 0; i < reader->nchecks; i++)
	{
		Check	   *check = &reader->checks[i];
		int			column = check->column;
		const char *field = reader->columns[column].field;

		if (check->not_null && isnull[column])
			return AvroFail(error, ERRCODE_NOT_NULL_VIOLATION,
							"field \"%s\" is null, which its column does not allow",
							field != NULL ? field : "value");
		if (OidIsValid(check->domain))
			domain_check(values[column], isnull[column], check->domain,
						 &check->domain_cache, reader->context);
	}
	return true;
}

static void
copy_constant(const AvroColumn *column, Datum *value)
{
	int16		length;
	bool		byval;

	get_typlenbyval(column->type, &length, &byval);
	*value = datumCopy(column->default_value, byval, length);
}

/* The field that is being converted, for errors that a type raises. */
static void
convert_context(void *arg)
{
	const Op   *op = arg;

	if (op->field != NULL)
		errcontext("Avro field \"%s\"", op->field);
}

static bool
convert_value(const Op *op, AvroCursor *cursor, Datum *value, bool *isnull)
{
	ErrorContextCallback callback;
	bool		ok;

	callback.callback = convert_context;
	callback.arg = unconstify(Op *, op);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	ok = AvroConvertRead(op->arg.convert, cursor, value, isnull);
	error_context_stack = callback.previous;
	return ok;
}

static bool
fail_bytes(const Op *op, AvroCursor *cursor, const unsigned char *pos)
{
	AvroFail(cursor->error, ERRCODE_INVALID_BINARY_REPRESENTATION,
			 "Avro data is malformed at or behind byte %zu", (size_t) (pos - cursor->start));
	return fail_in(op->field, cursor->error);
}

/*
 * run_program
 *		The hot loop: every field of every record passes through it.
 *
 * varlena has room for all text and bytea values of the datum.
 */
static bool
run_program(const AvroReader *reader, AvroCursor *cursor, char *varlena,
			Datum *values, bool *isnull)
{
	const unsigned char *pos = cursor->pos;
	const unsigned char *end = cursor->end;
	const unsigned char *outer_pos = NULL;
	const unsigned char *outer_start = NULL;
	const unsigned char *outer_end = NULL;
	const unsigned char *mark = NULL;
	const unsigned char *next;
	const Op   *op;
	int64		number;

	for (op = reader->ops;; op++)
	{
		if (op->null_branch >= 0)
		{
			next = AvroVarint(pos, end, &number);
			if (unlikely(next == NULL || (number & ~(int64) 1) != 0))
				return fail_bytes(op, cursor, pos);
			pos = next;
			if (number == op->null_branch)
			{
				op += op->skip;
				continue;
			}
		}
		switch ((OpCode) op->code)
		{
			case OP_RECORD:
				break;
			case OP_BOOL:
				if (unlikely(pos == end || *pos > 1))
					return fail_bytes(op, cursor, pos);
				values[op->column] = BoolGetDatum(*pos++ != 0);
				isnull[op->column] = false;
				break;
			case OP_INT4:
				next = AvroVarint(pos, end, &number);
				if (unlikely(next == NULL || number != (int32) number))
					return fail_bytes(op, cursor, pos);
				pos = next;
				values[op->column] = Int32GetDatum((int32) number);
				isnull[op->column] = false;
				break;
			case OP_INT8:
				next = AvroVarint(pos, end, &number);
				if (unlikely(next == NULL))
					return fail_bytes(op, cursor, pos);
				pos = next;
				values[op->column] = Int64GetDatum(number);
				isnull[op->column] = false;
				break;
			case OP_FLOAT4:
				if (unlikely(end - pos < 4))
					return fail_bytes(op, cursor, pos);
				values[op->column] = Float4GetDatum(AvroFloat(pos));
				isnull[op->column] = false;
				pos += 4;
				break;
			case OP_FLOAT8:
				if (unlikely(end - pos < 8))
					return fail_bytes(op, cursor, pos);
				values[op->column] = Float8GetDatum(AvroDouble(pos));
				isnull[op->column] = false;
				pos += 8;
				break;
			case OP_TEXT:
			case OP_BYTEA:
				next = AvroVarint(pos, end, &number);
				if (unlikely(next == NULL || number < 0 || number > end - next))
					return fail_bytes(op, cursor, pos);
				if (op->code == OP_TEXT && !check_text(next, (size_t) number, cursor->error))
					return fail_in(op->field, cursor->error);
				SET_VARSIZE(varlena, VARHDRSZ + number);
				if (number <= VARLENA_SLACK && end - next >= VARLENA_SLACK)
					memcpy(VARDATA(varlena), next, VARLENA_SLACK);
				else
					memcpy(VARDATA(varlena), next, (size_t) number);
				values[op->column] = PointerGetDatum(varlena);
				isnull[op->column] = false;
				varlena += INTALIGN(VARHDRSZ + number);
				pos = next + number;
				break;
			case OP_CONVERT:
				cursor->pos = pos;
				if (!convert_value(op, cursor, &values[op->column], &isnull[op->column]))
					return fail_in(op->field, cursor->error);
				pos = cursor->pos;
				break;
			case OP_SKIP:
				cursor->pos = pos;
				if (!AvroSkip(op->arg.skipped, cursor))
					return fail_in(op->field, cursor->error);
				pos = cursor->pos;
				break;
			case OP_MARK:
				mark = pos;
				break;
			case OP_RETURN:
				pos = mark;
				break;
			case OP_ENTER_DEFAULT:
				outer_pos = pos;
				outer_start = cursor->start;
				outer_end = end;
				cursor->start = pos = op->arg.missing->data;
				cursor->end = end = pos + op->arg.missing->bytes;
				break;
			case OP_LEAVE_DEFAULT:
				pos = outer_pos;
				cursor->start = outer_start;
				cursor->end = end = outer_end;
				break;
			case OP_CONSTANT:
				copy_constant(&reader->columns[op->column], &values[op->column]);
				isnull[op->column] = false;
				break;
			case OP_END:
				cursor->pos = pos;
				return AvroCursorEnd(cursor);
		}
	}
}

static bool
check_size(size_t data_bytes, DecodeError *error)
{
	if (data_bytes > MAX_DATUM_BYTES)
		return AvroFail(error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
						"Avro data has more than %zu bytes", (size_t) MAX_DATUM_BYTES);
	return true;
}

bool
AvroReaderDecode(AvroReader *reader, const char *data, size_t data_bytes,
				 Datum *values, bool *isnull, DecodeError *error)
{
	char	   *varlena = NULL;
	AvroCursor	cursor;

	if (!check_size(data_bytes, error))
		return false;
	AvroCursorInit(&cursor, data, data_bytes, error);
	memset(values, 0, reader->ncolumns * sizeof(Datum));
	memset(isnull, true, reader->ncolumns);
	if (reader->varlena_bytes > 0)
		varlena = palloc(data_bytes + reader->varlena_bytes + VARLENA_SLACK);
	if (!run_program(reader, &cursor, varlena, values, isnull))
		return false;
	return reader->nchecks == 0 || run_checks(reader, values, isnull, error);
}

bool
AvroDatumToJsonb(AvroReader *reader, const char *data, size_t data_bytes,
				 Jsonb **result, DecodeError *error)
{
	AvroCursor	cursor;

	if (!check_size(data_bytes, error))
		return false;
	AvroCursorInit(&cursor, data, data_bytes, error);
	return AvroToJsonb(reader->as_written, &cursor, result) && AvroCursorEnd(&cursor);
}
