/*-------------------------------------------------------------------------
 *
 * resolve.c
 *		The specification's schema resolution, done once per pair of schemas.
 *
 * The plan is a graph of its own: recursive schemas make it cyclic, so a pair
 * of named types that has a plan, or is getting one, is not planned again.
 * A pair that turns out not to resolve while others already point at its plan
 * stays in the graph as a refusal.
 *
 * Decided here, where the specification leaves room:
 * - In the reader's union the first matching branch is taken, but one of the
 *   writer's type and full name before one that takes a promotion or has only
 *   the same unqualified name.  So does Java, and without it a reader whose
 *   schema is the writer's would not read what was written.
 * - Logical types do not take part in matching, except that a value is never
 *   read in another unit: where both sides have one, they must be equal, and
 *   decimals must have the same scale.
 * - Fields are matched by name before alias.
 *
 * Venice's updates tell their operations by the names of records.  A user's record
 * may have such a name, so the fields that an operation has are looked at, too, and
 * nothing is one but in a union whose first branch is NoOp.
 *
 * Must not know: the server, or what a value becomes.
 *
 *-------------------------------------------------------------------------
 */
#include "avro/core.h"

#include "avro/resolve.h"

#include <stdio.h>
#include <string.h>

typedef struct Resolver
{
	AvroPlan  **named;			/* plans of pairs of named types */
	int			count;
	int			size;
	int			plans;
	int			update_depth;	/* where the record that is an update is, or -1 */
	AvroArena  *arena;
	DecodeError *error;
} Resolver;

static AvroPlan *resolve(Resolver *resolver, const AvroSchema *writer, const AvroSchema *reader,
						 int depth);

static bool
has_alias(const char *const *aliases, int naliases, const char *name)
{
	int			i;

	for (i = 0; i < naliases; i++)
		if (strcmp(aliases[i], name) == 0)
			return true;
	return false;
}

static bool
names_match(const AvroSchema *writer, const AvroSchema *reader)
{
	return strcmp(writer->short_name, reader->short_name) == 0 ||
		has_alias(reader->aliases, reader->naliases, writer->name);
}

static bool
promotes(AvroType writer, AvroType reader)
{
	switch (writer)
	{
		case AVRO_INT:
			return reader == AVRO_LONG || reader == AVRO_FLOAT || reader == AVRO_DOUBLE;
		case AVRO_LONG:
			return reader == AVRO_FLOAT || reader == AVRO_DOUBLE;
		case AVRO_FLOAT:
			return reader == AVRO_DOUBLE;
		case AVRO_STRING:
			return reader == AVRO_BYTES;
		case AVRO_BYTES:
			return reader == AVRO_STRING;
		default:
			return false;
	}
}

/*
 * matches
 *		The specification's "match": what decides which branch of a union.
 *
 * Ends, because only named types can be recursive and those match by name.
 */
static bool
matches(const AvroSchema *writer, const AvroSchema *reader)
{
	if (writer->type == AVRO_UNION || reader->type == AVRO_UNION)
		return true;
	if (writer->logical != AVRO_PLAIN && reader->logical != AVRO_PLAIN &&
		(writer->logical != reader->logical || writer->scale != reader->scale))
		return false;
	if (writer->type != reader->type)
		return promotes(writer->type, reader->type);
	switch (writer->type)
	{
		case AVRO_ARRAY:
		case AVRO_MAP:
			return matches(writer->items, reader->items);
		case AVRO_FIXED:
			return writer->size == reader->size && names_match(writer, reader);
		case AVRO_RECORD:
		case AVRO_ENUM:
			return names_match(writer, reader);
		default:
			return true;
	}
}

/* The branch of the reader's union that takes the writer's schema, or NULL. */
static const AvroSchema *
choose_branch(const AvroSchema *writer, const AvroSchema *reader)
{
	int			i;

	for (i = 0; i < reader->count; i++)
	{
		const AvroSchema *branch = reader->branches[i];

		if (branch->type == writer->type &&
			(writer->name == NULL || strcmp(branch->name, writer->name) == 0) &&
			matches(writer, branch))
			return branch;
	}
	for (i = 0; i < reader->count; i++)
		if (matches(writer, reader->branches[i]))
			return reader->branches[i];
	return NULL;
}

static const AvroSchema *
find_record(const AvroSchema *reader)
{
	int			i;

	for (i = 0; i < reader->count; i++)
		if (reader->branches[i]->type == AVRO_RECORD)
			return reader->branches[i];
	return NULL;
}

static AvroPlan *
make_plan(Resolver *resolver, const AvroSchema *writer, const AvroSchema *reader)
{
	AvroPlan   *plan;

	if (++resolver->plans > AVRO_MAX_NODES)
	{
		AvroFail(resolver->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "resolving the Avro schemas takes more than %d parts", AVRO_MAX_NODES);
		return NULL;
	}
	plan = AvroAlloc(resolver->arena, sizeof(AvroPlan));
	plan->writer = writer;
	plan->reader = reader;
	return plan;
}

static void
refuse(Resolver *resolver, AvroPlan *plan)
{
	size_t		bytes = strlen(resolver->error->message) + 1;
	char	   *message = AvroAlloc(resolver->arena, bytes);

	memcpy(message, resolver->error->message, bytes);
	plan->refusal = message;
}

static AvroPlan *
find_plan(const Resolver *resolver, const AvroSchema *writer, const AvroSchema *reader)
{
	int			i;

	for (i = 0; i < resolver->count; i++)
		if (resolver->named[i]->writer == writer && resolver->named[i]->reader == reader)
			return resolver->named[i];
	return NULL;
}

static void
remember_plan(Resolver *resolver, AvroPlan *plan)
{
	if (resolver->count == resolver->size)
	{
		int			size = resolver->size == 0 ? 16 : resolver->size * 2;
		AvroPlan  **named = AvroAlloc(resolver->arena, size * sizeof(AvroPlan *));

		if (resolver->count > 0)
			memcpy(named, resolver->named, resolver->count * sizeof(AvroPlan *));
		resolver->named = named;
		resolver->size = size;
	}
	resolver->named[resolver->count++] = plan;
}

static bool
has_field(const AvroSchema *record, const char *name)
{
	int			i;

	for (i = 0; i < record->count; i++)
		if (strcmp(record->fields[i].name, name) == 0)
			return true;
	return false;
}

/*
 * find_source
 *		The writer's field that feeds a field of the reader's, or -1.
 *
 * By name, else the writer's first that is one of the field's aliases and that
 * nothing else has: neither a field of that name nor an earlier one by alias.
 */
static int
find_source(const AvroPlan *plan, int field)
{
	const AvroSchema *writer = plan->writer;
	const AvroField *wanted = &plan->reader->fields[field];
	int			i;

	if (writer == plan->reader)
		return field;
	for (i = 0; i < writer->count; i++)
		if (strcmp(writer->fields[i].name, wanted->name) == 0)
			return i;
	for (i = 0; wanted->naliases > 0 && i < writer->count; i++)
		if (has_alias(wanted->aliases, wanted->naliases, writer->fields[i].name) &&
			plan->steps[i].plan == NULL && !has_field(plan->reader, writer->fields[i].name))
			return i;
	return -1;
}

static bool
has_suffix(const char *name, const char *suffix)
{
	size_t		bytes = strlen(name);
	size_t		suffix_bytes = strlen(suffix);

	return bytes >= suffix_bytes && strcmp(name + bytes - suffix_bytes, suffix) == 0;
}

/* Are all fields of the record arrays of that name, but of the map's name a map? */
static bool
has_members(const AvroSchema *record, const char *added, AvroType added_type, const char *removed)
{
	int			i;

	for (i = 0; i < record->count; i++)
	{
		const AvroField *field = &record->fields[i];

		if (!(strcmp(field->name, added) == 0 && field->schema->type == added_type) &&
			!(strcmp(field->name, removed) == 0 && field->schema->type == AVRO_ARRAY))
			return false;
	}
	return true;
}

/* What a branch of a union that begins with NoOp says. */
static AvroUpdate
update_of(const AvroSchema *branch)
{
	if (branch->type != AVRO_RECORD)
		return AVRO_UPDATE_SET;
	if (strcmp(branch->short_name, "NoOp") == 0 && branch->count == 0)
		return AVRO_UPDATE_KEEP;
	if (has_suffix(branch->short_name, "ListOps") &&
		has_members(branch, "setUnion", AVRO_ARRAY, "setDiff"))
		return AVRO_UPDATE_LIST;
	if (has_suffix(branch->short_name, "MapOps") &&
		has_members(branch, "mapUnion", AVRO_MAP, "mapDiff"))
		return AVRO_UPDATE_MAP;
	return AVRO_UPDATE_SET;
}

static bool
has_operations(const AvroSchema *schema)
{
	return schema->type == AVRO_UNION && schema->count > 0 &&
		update_of(schema->branches[0]) == AVRO_UPDATE_KEEP;
}

/* An operation on a field, reader's or, if that is NULL, as it is written. */
static AvroPlan *
resolve_operation(Resolver *resolver, const AvroSchema *writer, const AvroSchema *reader, int depth)
{
	AvroPlan   *plan = make_plan(resolver, writer, writer);
	int			i;

	if (plan == NULL)
		return NULL;
	plan->update = update_of(writer);
	plan->steps = AvroAlloc(resolver->arena, writer->count * sizeof(AvroStep));
	for (i = 0; i < writer->count; i++)
	{
		AvroStep   *step = &plan->steps[i];
		bool		as_written = reader == NULL || strcmp(writer->fields[i].name, "mapDiff") == 0;

		step->writer = writer->fields[i].schema;
		step->field = i;
		step->plan = resolve(resolver, step->writer, as_written ? step->writer : reader,
							 depth + 1);
		if (step->plan == NULL)
			return NULL;
	}
	return plan;
}

/* A field of an update. */
static AvroPlan *
resolve_update(Resolver *resolver, const AvroSchema *writer, const AvroSchema *reader, int depth)
{
	AvroPlan   *plan = make_plan(resolver, writer, reader);
	int			kept = 0;
	int			refused = 0;
	int			i;

	if (plan == NULL)
		return NULL;
	plan->branches = AvroAlloc(resolver->arena, writer->count * sizeof(AvroPlan *));
	for (i = 0; i < writer->count; i++)
	{
		const AvroSchema *branch = writer->branches[i];
		AvroUpdate	update = update_of(branch);

		if (update != AVRO_UPDATE_SET)
			plan->branches[i] = resolve_operation(resolver, branch,
												  writer == reader ? NULL : reader, depth + 1);
		else
			plan->branches[i] = resolve(resolver, branch, writer == reader ? branch : reader,
										depth + 1);
		kept += update == AVRO_UPDATE_KEEP;
		if (plan->branches[i] != NULL)
			continue;
		if (resolver->error->sqlstate != ERRCODE_DATATYPE_MISMATCH)
			return NULL;
		plan->branches[i] = make_plan(resolver, branch, reader);
		if (plan->branches[i] == NULL)
			return NULL;
		refuse(resolver, plan->branches[i]);
		refused++;
	}
	return refused > 0 && refused + kept == writer->count ? NULL : plan;
}

static bool
resolve_record(Resolver *resolver, AvroPlan *plan, int depth)
{
	const AvroSchema *writer = plan->writer;
	const AvroSchema *reader = plan->reader;
	bool		partial = depth == resolver->update_depth;
	int			i;

	plan->steps = AvroAlloc(resolver->arena, writer->count * sizeof(AvroStep));
	plan->missing = AvroAlloc(resolver->arena, reader->count * sizeof(AvroMissing));
	for (i = 0; i < writer->count; i++)
		plan->steps[i].writer = writer->fields[i].schema;
	for (i = 0; i < reader->count; i++)
	{
		const AvroField *field = &reader->fields[i];
		int			source = find_source(plan, i);

		if (source >= 0)
		{
			AvroStep   *step = &plan->steps[source];

			step->field = i;
			if (partial && has_operations(step->writer))
				step->plan = resolve_update(resolver, step->writer, field->schema, depth + 1);
			else
				step->plan = resolve(resolver, step->writer, field->schema, depth + 1);
			if (step->plan == NULL)
				return false;
		}
		else if (!partial)
		{
			AvroMissing *missing = &plan->missing[plan->nmissing++];

			if (!field->has_default)
				return AvroFail(resolver->error, ERRCODE_DATATYPE_MISMATCH,
								"the writer has no field \"%s\" of record \"%s\", and it has no default",
								field->name, reader->name);
			if (field->default_data == NULL)
				return AvroFail(resolver->error, ERRCODE_DATATYPE_MISMATCH,
								"the default of field \"%s\" of record \"%s\" does not suit its type",
								field->name, reader->name);
			missing->field = i;
			missing->data = field->default_data;
			missing->bytes = field->default_bytes;
			missing->plan = resolve(resolver, field->schema, field->schema, depth + 1);
			if (missing->plan == NULL)
				return false;
		}
	}
	return true;
}

static void
resolve_enum(Resolver *resolver, AvroPlan *plan)
{
	const AvroSchema *writer = plan->writer;
	const AvroSchema *reader = plan->reader;
	int			i;
	int			j;

	plan->symbols = AvroAlloc(resolver->arena, writer->count * sizeof(int));
	for (i = 0; i < writer->count; i++)
	{
		/* most often the symbols are the same */
		if (i < reader->count && strcmp(writer->symbols[i], reader->symbols[i]) == 0)
		{
			plan->symbols[i] = i;
			continue;
		}
		plan->symbols[i] = reader->default_symbol;
		for (j = 0; j < reader->count; j++)
			if (strcmp(writer->symbols[i], reader->symbols[j]) == 0)
				plan->symbols[i] = j;
	}
}

static AvroPlan *
resolve_union(Resolver *resolver, const AvroSchema *writer, const AvroSchema *reader, int depth)
{
	AvroPlan   *plan = make_plan(resolver, writer, reader);
	int			refused = 0;
	int			i;

	if (plan == NULL)
		return NULL;
	plan->branches = AvroAlloc(resolver->arena, writer->count * sizeof(AvroPlan *));
	for (i = 0; i < writer->count; i++)
	{
		const AvroSchema *branch = writer->branches[i];

		plan->branches[i] = resolve(resolver, branch, writer == reader ? branch : reader,
									depth + 1);
		if (plan->branches[i] != NULL)
			continue;
		if (resolver->error->sqlstate != ERRCODE_DATATYPE_MISMATCH)
			return NULL;
		plan->branches[i] = make_plan(resolver, branch, reader);
		if (plan->branches[i] == NULL)
			return NULL;
		refuse(resolver, plan->branches[i]);
		refused++;
	}
	return refused > 0 && refused == writer->count ? NULL : plan;
}

static AvroPlan *
resolve(Resolver *resolver, const AvroSchema *writer, const AvroSchema *reader, int depth)
{
	bool		is_update = depth == resolver->update_depth && writer->type == AVRO_RECORD;
	AvroPlan   *plan;
	bool		ok = true;

	/* Pairs of a finite graph are finite, but a path through them can be long. */
	if (depth > AVRO_MAX_DEPTH * 8)
	{
		AvroFail(resolver->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "Avro schemas are nested too deep to be resolved");
		return NULL;
	}
	if (writer->type == AVRO_UNION)
		return resolve_union(resolver, writer, reader, depth);
	if (reader->type == AVRO_UNION)
	{
		const AvroSchema *branch = is_update ? find_record(reader) : choose_branch(writer, reader);

		if (branch != NULL)
			reader = branch;
	}
	if (reader->type == AVRO_UNION ||
		(!matches(writer, reader) && !(is_update && reader->type == AVRO_RECORD)))
	{
		char		from[100];
		char		to[100];

		AvroFail(resolver->error, ERRCODE_DATATYPE_MISMATCH,
				 "Avro type %s cannot be read as %s",
				 AvroSchemaDescribe(writer, from, sizeof(from)),
				 AvroSchemaDescribe(reader, to, sizeof(to)));
		return NULL;
	}
	if (writer->name != NULL)
	{
		plan = find_plan(resolver, writer, reader);
		if (plan != NULL && plan->refusal != NULL)
		{
			AvroFail(resolver->error, ERRCODE_DATATYPE_MISMATCH, "%s", plan->refusal);
			return NULL;
		}
		if (plan != NULL)
			return plan;
	}
	plan = make_plan(resolver, writer, reader);
	if (plan == NULL)
		return NULL;
	if (writer->name != NULL)
		remember_plan(resolver, plan);
	switch (writer->type)
	{
		case AVRO_ARRAY:
		case AVRO_MAP:
			plan->items = resolve(resolver, writer->items, reader->items, depth + 1);
			ok = plan->items != NULL;
			break;
		case AVRO_RECORD:
			ok = resolve_record(resolver, plan, depth);
			break;
		case AVRO_ENUM:
			resolve_enum(resolver, plan);
			break;
		default:
			break;
	}
	if (ok)
		return plan;
	refuse(resolver, plan);
	return NULL;
}

AvroPlan *
AvroResolve(const AvroSchema *writer, const AvroSchema *reader, AvroArena *arena,
			DecodeError *error)
{
	Resolver	resolver = {.update_depth = -1,.arena = arena,.error = error};

	return resolve(&resolver, writer, reader, 0);
}

AvroPlan *
AvroResolveUpdate(const AvroSchema *writer, const AvroSchema *reader, AvroArena *arena,
				  DecodeError *error)
{
	Resolver	resolver = {.arena = arena,.error = error};

	resolver.update_depth = writer->type == AVRO_UNION ? 1 : 0;
	return resolve(&resolver, writer, reader, 0);
}
