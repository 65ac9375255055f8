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
 * A program for an update ends each field with a note that its columns are set.  What
 * is in a union with NoOp is a switch, one piece of program for each branch.
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

#include "catalog/pg_type.h"
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
	OP_SET,						/* of an update: the column is set */
	OP_SWITCH,					/* go to the branch whose number comes next */
	OP_JUMP,					/* pass over skip ops */
	OP_REFUSE,					/* such a value is an error */
	OP_MEMBERS,					/* members to add to the column, and to take out */
	OP_END
} OpCode;

/* A union, and where the ops of each branch begin. */
typedef struct Switch
{
	const AvroSchema *writer;
	int		   *starts;
} Switch;

/* An operation on a collection, its fields in the order of the bytes. */
typedef struct Members
{
	int			count;
	AvroConvert **converts;
	bool	   *is_removed;
} Members;

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
		const Switch *branches;
		const char *refusal;
		const Members *members;
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
	bool		is_update;
	Datum	   *values;			/* that an update sets */
	bool	   *isnull;
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

/*
 * has_path
 *		Is there a field for what columns want, or something that fields can be
 *		missed in?
 *
 * A path that leads to nothing keeps its column; one that leads into what is no
 * record does not fit the schema, which emit_value says.
 */
static bool
has_path(const AvroPlan *plan, const char *path)
{
	int			i;

	if (path == NULL)
		return true;
	if (plan->branches != NULL)
	{
		for (i = 0; i < plan->writer->count; i++)
			if (plan->branches[i]->update == AVRO_UPDATE_SET && has_path(plan->branches[i], path))
				return true;
		return false;
	}
	if (plan->refusal != NULL || plan->reader->type == AVRO_NULL)
		return false;
	if (plan->reader->type != AVRO_RECORD)
		return true;
	for (i = 0; i < plan->writer->count; i++)
	{
		const AvroStep *step = &plan->steps[i];
		Target		target = {0, path};

		if (step->plan != NULL &&
			take_targets(&target, 1, plan->reader->fields[step->field].name) == 1)
			return has_path(step->plan, target.path);
	}
	return false;
}

/* Forget columns whose paths lead to nothing; how many are left. */
static int
drop_lost(const AvroPlan *plan, Target *targets, int ntargets)
{
	int			left = 0;
	int			i;

	for (i = 0; i < ntargets; i++)
		if (has_path(plan, targets[i].path))
			targets[left++] = targets[i];
	return left;
}

static void
emit_set(AvroReader *reader, const Target *targets, int ntargets, const char *field)
{
	int			i;

	for (i = 0; i < ntargets; i++)
		emit(reader, OP_SET, field)->column = targets[i].column;
}

/* An operation on the members of a column, if its type has such. */
static bool
emit_members(AvroReader *reader, const AvroPlan *plan, const Target *target, const char *field,
			 DecodeError *error)
{
	const AvroColumn *column = &reader->columns[target->column];
	bool		is_map = plan->update == AVRO_UPDATE_MAP;
	Oid			type = getBaseType(column->type);
	Members    *members;
	Op		   *op;
	int			i;

	if (target->path != NULL || (is_map ? type != JSONBOID : !OidIsValid(get_element_type(type))))
	{
		emit(reader, OP_REFUSE, field)->arg.refusal =
			psprintf("%s cannot be applied to type %s", plan->writer->short_name,
					 format_type_be(column->type));
		return true;
	}
	members = palloc0(sizeof(Members));
	members->count = plan->writer->count;
	members->converts = palloc0(members->count * sizeof(AvroConvert *));
	members->is_removed = palloc0(members->count * sizeof(bool));
	for (i = 0; i < members->count; i++)
	{
		const char *name = plan->writer->fields[i].name;

		members->is_removed[i] = strcmp(name, is_map ? "mapDiff" : "setDiff") == 0;
		if (is_map && members->is_removed[i])
			members->converts[i] = AvroConvertCreate(plan->steps[i].plan, TEXTARRAYOID, -1,
													 reader->context, error);
		else
			members->converts[i] = AvroConvertCreate(plan->steps[i].plan, column->type,
													 column->typmod, reader->context, error);
		if (members->converts[i] == NULL)
			return fail_in(field, error);
	}
	op = emit(reader, OP_MEMBERS, field);
	op->column = target->column;
	op->arg.members = members;
	return true;
}

/* What one branch of an update's union says of the columns that want the field. */
static bool
emit_branch(AvroReader *reader, const AvroPlan *plan, Target *targets, int ntargets,
			const char *field, DecodeError *error)
{
	int			i;

	if (plan->refusal != NULL)
	{
		emit(reader, OP_REFUSE, field)->arg.refusal = plan->refusal;
		return true;
	}
	switch (plan->update)
	{
		case AVRO_UPDATE_KEEP:
			return true;
		case AVRO_UPDATE_LIST:
		case AVRO_UPDATE_MAP:
			for (i = 0; i < ntargets; i++)
			{
				if (i < ntargets - 1)
					emit(reader, OP_MARK, field);
				if (!emit_members(reader, plan, &targets[i], field, error))
					return false;
				if (i < ntargets - 1)
					emit(reader, OP_RETURN, field);
			}
			return true;
		case AVRO_UPDATE_SET:
			break;
	}
	if (plan->reader->type != AVRO_NULL &&
		!emit_value(reader, plan, targets, ntargets, field, error))
		return false;
	emit_set(reader, targets, ntargets, field);
	return true;
}

/* A field whose union begins with NoOp. */
static bool
emit_switch(AvroReader *reader, const AvroPlan *plan, const Target *targets, int ntargets,
			const char *field, DecodeError *error)
{
	int			count = plan->writer->count;
	Switch	   *branches = palloc(sizeof(Switch));
	int		   *ends = palloc(count * sizeof(int));
	Target	   *copies = palloc(ntargets * sizeof(Target));
	int			i;

	branches->writer = plan->writer;
	branches->starts = palloc(count * sizeof(int));
	emit(reader, OP_SWITCH, field)->arg.branches = branches;
	for (i = 0; i < count; i++)
	{
		branches->starts[i] = reader->nops;
		memcpy(copies, targets, ntargets * sizeof(Target));
		if (!emit_branch(reader, plan->branches[i], copies, ntargets, field, error))
			return false;
		ends[i] = reader->nops;
		emit(reader, OP_JUMP, field);
	}
	for (i = 0; i < count; i++)
		reader->ops[ends[i]].skip = reader->nops - ends[i] - 1;
	return true;
}

/* The fields of an update: those that the writer has. */
static bool
emit_update(AvroReader *reader, const AvroPlan *plan, Target *targets, int ntargets,
			DecodeError *error)
{
	int			i;

	for (i = 0; i < plan->writer->count; i++)
	{
		const AvroStep *step = &plan->steps[i];
		const char *field = plan->writer->fields[i].name;
		int			taken = 0;
		int			wanted = 0;

		if (step->plan != NULL)
		{
			field = plan->reader->fields[step->field].name;
			taken = take_targets(targets, ntargets, field);
			wanted = drop_lost(step->plan, targets, taken);
		}
		if (wanted == 0)
			emit_skip(reader, step->writer, field);
		else if (step->plan->branches != NULL &&
				 step->plan->branches[0]->update == AVRO_UPDATE_KEEP)
		{
			if (!emit_switch(reader, step->plan, targets, wanted, field, error))
				return false;
		}
		else
		{
			if (!emit_value(reader, step->plan, targets, wanted, field, error))
				return false;
			emit_set(reader, targets, wanted, field);
		}
		targets += taken;
		ntargets -= taken;
	}
	return true;
}

/* An update: a record, or a value for the only column. */
static bool
emit_whole_update(AvroReader *reader, const AvroPlan *plan, Target *targets, int ntargets,
				  DecodeError *error)
{
	int8		null_branch;
	const AvroPlan *record = without_null(plan, &null_branch);
	int			first = reader->nops;

	if (record->branches != NULL || record->refusal != NULL ||
		record->reader->type != AVRO_RECORD || targets[0].path == NULL)
	{
		if (!emit_value(reader, plan, targets, ntargets, NULL, error))
			return false;
		emit_set(reader, targets, ntargets, NULL);
		return true;
	}
	emit(reader, OP_RECORD, NULL)->null_branch = null_branch;
	if (!emit_update(reader, record, targets, ntargets, error))
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
	else if (reader->is_update)
	{
		if (!emit_whole_update(reader, plan, targets, reader->ncolumns, error))
			return false;
	}
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
	if (reader->is_update)
		plan = AvroResolveUpdate(writer, read_as, reader->context, error);
	else
		plan = AvroResolve(writer, read_as, reader->context, error);
	if (plan == NULL)
		return false;
	reader->as_written = reader_schema == NULL ? plan :
		AvroResolve(writer, writer, reader->context, error);
	return reader->as_written != NULL && emit_datum(reader, plan, error);
}

static AvroReader *
create(const char *const *texts, int ntexts, const char *reader_schema,
	   const AvroColumn *columns, int ncolumns, bool is_update, MemoryContext context,
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
	reader->is_update = is_update;
	if (is_update)
	{
		reader->values = palloc(ncolumns * sizeof(Datum));
		reader->isnull = palloc(ncolumns * sizeof(bool));
	}
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

AvroReader *
AvroReaderCreate(const char *const *texts, int ntexts, const char *reader_schema,
				 const AvroColumn *columns, int ncolumns, MemoryContext context,
				 DecodeError *error)
{
	return create(texts, ntexts, reader_schema, columns, ncolumns, false, context, error);
}

AvroReader *
AvroUpdateReaderCreate(const char *const *texts, int ntexts, const char *reader_schema,
					   const AvroColumn *columns, int ncolumns, MemoryContext context,
					   DecodeError *error)
{
	return create(texts, ntexts, reader_schema, columns, ncolumns, true, context, error);
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

/* fields, if it is an update: only what that sets is checked. */
static bool
run_checks(AvroReader *reader, const Datum *values, const bool *isnull, const FieldWrite *fields,
		   DecodeError *error)
{
	int			i;

	for (i = 0; i < reader->nchecks; i++)
	{
		Check	   *check = &reader->checks[i];
		int			column = check->column;
		const char *field = reader->columns[column].field;

		if (fields != NULL && fields[column].change != FIELD_SET)
			continue;
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
read_members(const Op *op, AvroCursor *cursor, FieldWrite *field)
{
	const Members *members = op->arg.members;
	ErrorContextCallback callback;
	bool		ok = true;
	int			i;

	field->change = FIELD_MEMBERS;
	field->isnull = field->removed_isnull = true;
	callback.callback = convert_context;
	callback.arg = unconstify(Op *, op);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	for (i = 0; ok && i < members->count; i++)
	{
		if (members->is_removed[i])
			ok = AvroConvertRead(members->converts[i], cursor, &field->removed,
								 &field->removed_isnull);
		else
			ok = AvroConvertRead(members->converts[i], cursor, &field->value, &field->isnull);
	}
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
 * varlena has room for all text and bytea values of the datum.  fields are an update's.
 */
static bool
run_program(const AvroReader *reader, AvroCursor *cursor, char *varlena,
			Datum *values, bool *isnull, FieldWrite *fields)
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
	int			branch;

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
			case OP_SET:
				fields[op->column].change = FIELD_SET;
				break;
			case OP_SWITCH:
				cursor->pos = pos;
				if (!AvroReadUnion(op->arg.branches->writer, cursor, &branch))
					return fail_in(op->field, cursor->error);
				pos = cursor->pos;
				op = reader->ops + op->arg.branches->starts[branch] - 1;
				break;
			case OP_JUMP:
				op += op->skip;
				break;
			case OP_REFUSE:
				AvroFail(cursor->error, ERRCODE_DATATYPE_MISMATCH, "%s", op->arg.refusal);
				return fail_in(op->field, cursor->error);
			case OP_MEMBERS:
				cursor->pos = pos;
				if (!read_members(op, cursor, &fields[op->column]))
					return fail_in(op->field, cursor->error);
				pos = cursor->pos;
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

static bool
decode(AvroReader *reader, const char *data, size_t data_bytes,
	   Datum *values, bool *isnull, FieldWrite *fields, DecodeError *error)
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
	if (!run_program(reader, &cursor, varlena, values, isnull, fields))
		return false;
	return reader->nchecks == 0 || run_checks(reader, values, isnull, fields, error);
}

bool
AvroReaderDecode(AvroReader *reader, const char *data, size_t data_bytes,
				 Datum *values, bool *isnull, DecodeError *error)
{
	Assert(!reader->is_update);
	return decode(reader, data, data_bytes, values, isnull, NULL, error);
}

bool
AvroUpdateReaderDecode(AvroReader *reader, const char *data, size_t data_bytes,
					   FieldWrite *fields, DecodeError *error)
{
	int			i;

	Assert(reader->is_update);
	memset(fields, 0, reader->ncolumns * sizeof(FieldWrite));
	if (!decode(reader, data, data_bytes, reader->values, reader->isnull, fields, error))
		return false;
	for (i = 0; i < reader->ncolumns; i++)
	{
		if (fields[i].change != FIELD_SET)
			continue;
		fields[i].value = reader->values[i];
		fields[i].isnull = reader->isnull[i];
	}
	return true;
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
