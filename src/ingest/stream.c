/*-------------------------------------------------------------------------
 *
 * stream.c
 *		A batch of real-time records becomes writes, to all versions that read them.
 *
 * Each version has its own position, written in the transaction that writes its rows.
 * A record goes to those that have not had it yet: so versions that stand a little apart
 * are brought together by reading from where the last of them is, and a version
 * joins the others by a mark in its row.  The store's history is one more of them.
 *
 * Records are decoded once, into the columns of the newest version; each version takes
 * those that it has.  For versions that were made with another option "fields" they are
 * decoded once more: from what a version's columns are derived does not change.  Where
 * the writes of a batch fail, trials that are rolled back find out who is at fault: a
 * record that a version cannot take is rejected for that version, and counted; a version
 * that cannot take any leaves the others, is noted to have, and is tried by itself from
 * then on.
 *
 * All is done as the store's owner: types, domains and their checks are his.
 *
 * Locks: those of the writers.
 * Must not know: the Kafka client, when to write.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ingest/stream.h"

#include "access/table.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "common/retry.h"
#include "common/subtransaction.h"
#include "version/history.h"
#include "version/streams.h"
#include "wire/headers.h"

/* Between two looks for interrupts. */
#define RECORDS_PER_CHECK 256

/* Microseconds from 1970 to 2000. */
#define EPOCH_DIFFERENCE_US \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* One of those that records are written to. */
typedef struct Target
{
	StateKey	key;
	Version    *version;		/* NULL: the history */
	int			reading;		/* which of the stream's decoders it wants */
	const struct Change *changes;	/* of the batch, as that one has read them */
	PartitionState state;		/* as committed */
	PartitionState next;		/* as it is being written */
	VersionWriter *writer;
	DecodeError **refusals;		/* of the batch's records, NULL where it takes one */
	bool		leaves;
	bool		left;			/* and that is committed */
} Target;

/* What became of one record. */
typedef struct Change
{
	RecordVerdict verdict;
	Datum	   *values;			/* of the columns */
	bool	   *isnull;
	RowWrite	write;
	TimestampTz event_time;
	DecodeError *error;			/* with RECORD_REJECTED */
	const char *push_id;		/* of a marker, which is no write, or NULL */
	bool		push_ends;
} Change;

struct Stream
{
	Store	   *store;
	int			region;
	int32		partition;
	int			partition_count;
	List	   *targets;
	const Version *newest;
	Oid			records;		/* its table */
	int			attribute_count;	/* which it has */
	TupleDesc	columns;		/* that a record has, keys first; no bookkeeping */
	TupleDesc	key_columns;
	int			frame_bytes;	/* of a value, before what was written */
	RecordDecoder **decoders;	/* one for each option "fields", the newest version's first */
	int			decoder_count;
	int			asking;			/* the one that lacks a schema */
	int			decoded_count;	/* columns, and the event time where the version keeps one */
	Datum	   *values;
	bool	   *isnull;
};

static Target *
make_target(Store *store, Version *version, int region, const char *topic, int32 partition)
{
	Target	   *target = palloc0(sizeof(Target));
	target->key.store = store->name;
	target->key.version = version != NULL ? version->number : HISTORY_VERSION;
	target->key.region = region;
	target->key.topic = topic;
	target->key.unlogged = version != NULL && version->options->unlogged;
	target->version = version;
	return api->PartitionStateRead(&target->key, partition, &target->state) ? target : NULL;
}

/* Those that are there, the newest version first, the history last. */
static List *
find_targets(Store *store, int version, int region, const char *topic, int32 partition)
{
	List	   *numbers = version != JOINED_VERSIONS ? list_make1_int(version) :
		api->PartitionJoined(store->name, region, topic, partition);
	List	   *targets = NIL;
	ListCell   *cell;

	foreach(cell, api->CompleteVersions(store))
	{
		Version    *candidate = lfirst(cell);
		Target	   *target;

		if (!list_member_int(numbers, candidate->number))
			continue;
		target = make_target(store, candidate, region, topic, partition);
		if (target != NULL)
			targets = lappend(targets, target);
	}
	if (targets != NIL && list_member_int(numbers, HISTORY_VERSION))
	{
		Target	   *history = make_target(store, NULL, region, topic, partition);

		if (history != NULL)
			targets = lappend(targets, history);
	}
	return targets;
}

static bool
same_fields(const Version *a, const Version *b)
{
	Jsonb	   *one = a->options->fields;
	Jsonb	   *other = b->options->fields;

	if (one == NULL || other == NULL)
		return one == other;
	return compareJsonbContainers(&one->root, &other->root) == 0;
}

/* The versions whose fields are read, each target's reading being its place among them. */
static List *
assign_readings(const Stream *stream)
{
	List	   *readers = NIL;
	ListCell   *cell;

	foreach(cell, stream->targets)
	{
		Target	   *target = lfirst(cell);

		if (target->version == NULL)
			continue;
		while (target->reading < list_length(readers) &&
			   !same_fields(target->version, list_nth(readers, target->reading)))
			target->reading++;
		if (target->reading == list_length(readers))
			readers = lappend(readers, target->version);
	}
	return readers;
}

/* From the fields that a version reads into the stream's columns. */
static RecordDecoder *
open_decoder(Stream *stream, const Version *reader, Relation relation, MemoryContext context)
{
	RecordColumn *columns = palloc0((stream->columns->natts + 1) * sizeof(RecordColumn));
	AttrNumber	event_time = get_attnum(stream->records, EVENT_TIME_COLUMN);
	int			count;

	for (count = 0; count < stream->columns->natts; count++)
	{
		char	   *name = NameStr(TupleDescAttr(stream->columns, count)->attname);

		BatchColumnInit(&columns[count], stream->store, reader, relation,
						get_attnum(stream->records, name) - 1, context);
	}
	if (event_time != InvalidAttrNumber)
		BatchColumnInit(&columns[count++], stream->store, reader, relation, event_time - 1,
						context);
	stream->decoded_count = count;
	return BatchDecoderCreate(stream->store, stream->newest, columns, count, context);
}

/* The columns that records fill, and what decodes them; false when the table is gone. */
static bool
open_decoders(Stream *stream, MemoryContext context)
{
	Oid			records = api->VersionTable(stream->newest);
	Relation	relation = OidIsValid(records) ? try_table_open(records, AccessShareLock) : NULL;
	List	   *readers;
	ListCell   *cell;
	UserContext user;

	if (relation == NULL)
		return false;
	stream->records = records;
	stream->attribute_count = RelationGetNumberOfAttributes(relation);
	stream->columns = api->WriteColumns(stream->store, records);
	stream->key_columns = CreateTemplateTupleDesc(stream->store->key_count);
	for (int i = 0; i < stream->store->key_count; i++)
		TupleDescCopyEntry(stream->key_columns, i + 1, stream->columns, i + 1);
	readers = assign_readings(stream);
	stream->decoders = palloc0(list_length(readers) * sizeof(RecordDecoder *));
	api->UserContextEnter(&user, stream->store->owner);
	foreach(cell, readers)
		stream->decoders[stream->decoder_count++] =
			open_decoder(stream, lfirst(cell), relation, context);
	api->UserContextLeave(&user);
	table_close(relation, AccessShareLock);
	return true;
}

Stream *
StreamOpen(Store *store, int version, int region, const char *topic, int32 partition,
		   MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Stream	   *stream = palloc0(sizeof(Stream));
	bool		open;

	stream->store = store;
	stream->region = region;
	stream->partition = partition;
	stream->targets = find_targets(store, version, region, topic, partition);
	if (stream->targets == NIL)
	{
		MemoryContextSwitchTo(old);
		return NULL;
	}
	stream->newest = ((Target *) linitial(stream->targets))->version;
	if (strcmp(stream->newest->options->value_format, "confluent-avro") == 0)
		stream->frame_bytes = CONFLUENT_FRAME_BYTES;
	stream->partition_count = api->PartitionCount(&((Target *) linitial(stream->targets))->key);
	open = open_decoders(stream, context);
	MemoryContextSwitchTo(old);
	return open ? stream : NULL;
}

RecordDecoder *
StreamDecoder(const Stream *stream)
{
	return stream->decoders[stream->asking];
}

const PartitionState *
StreamSlowest(const Stream *stream)
{
	const Target *slowest = NULL;
	ListCell   *cell;

	foreach(cell, stream->targets)
	{
		const Target *target = lfirst(cell);

		if (!target->left &&
			(slowest == NULL || target->state.next_offset < slowest->state.next_offset))
			slowest = target;
	}
	return &(slowest != NULL ? slowest : (Target *) linitial(stream->targets))->state;
}

bool
StreamIsLevel(const Stream *stream)
{
	ListCell   *cell;

	foreach(cell, stream->targets)
		if (((Target *) lfirst(cell))->state.next_offset != StreamSlowest(stream)->next_offset)
			return false;
	return true;
}

int64
StreamRewindTime(const Stream *stream)
{
	const Version *version = stream->newest;
	const StoreOptions *options = version->options;
	TimestampTz time = options->rewind_from_start || version->end_requested_time == 0 ?
		version->started_time : version->end_requested_time;

	time = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval,
												   TimestampTzGetDatum(time),
												   IntervalPGetDatum(&options->rewind)));
	return Max(time + EPOCH_DIFFERENCE_US, 0) / 1000;
}

bool
StreamIsNear(const Stream *stream, int64 lag, TimestampTz last_record_time)
{
	const StoreOptions *options = stream->store->options;
	TimestampTz time;

	if (lag <= options->max_lag / Max(stream->partition_count, 1))
		return true;
	time = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval,
												   TimestampTzGetDatum(GetCurrentTimestamp()),
												   IntervalPGetDatum(&options->max_lag_time)));
	return last_record_time != 0 && last_record_time >= time;
}

/* Decoding */

static DecodeError *
make_error(int sqlstate, const char *message)
{
	DecodeError *error = palloc(sizeof(DecodeError));

	error->sqlstate = sqlstate;
	strlcpy(error->message, message, sizeof(error->message));
	return error;
}

static void
reject(Change *change, int sqlstate, const char *message)
{
	change->verdict = RECORD_REJECTED;
	change->error = make_error(sqlstate, message);
}

/* A header's value as a string, or NULL. */
static char *
header(const KafkaRecord *record, const char *name)
{
	size_t		bytes;
	const char *value = KafkaRecordHeader(record, name, &bytes);

	return value == NULL ? NULL : pnstrdup(value, bytes);
}

/* An incremental push begins or ends here. */
static bool
is_marker(const KafkaRecord *record, Change *change)
{
	if (record->key_bytes >= 0 || record->value_bytes >= 0)
		return false;
	change->push_id = header(record, HEADER_PUSH_START);
	if (change->push_id == NULL)
	{
		change->push_id = header(record, HEADER_PUSH_END);
		change->push_ends = true;
	}
	return change->push_id != NULL;
}

/* When a write was made: where nobody says so, when it was produced.  Microseconds since 1970. */
static int64
write_time(const KafkaRecord *record, Change *change)
{
	char	   *text = header(record, HEADER_LOGICAL_TIME);
	char	   *end = text;
	int64		time;

	if (text == NULL)
		return Max(record->timestamp_ms < 0 ? GetCurrentTimestamp() + EPOCH_DIFFERENCE_US :
				   record->timestamp_ms * 1000, 1);
	errno = 0;
	time = strtoi64(text, &end, 10);
	if (errno != 0 || *end != '\0' || end == text || time <= 0 ||
		!IS_VALID_TIMESTAMP(time - EPOCH_DIFFERENCE_US))
		reject(change, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
			   psprintf("header \"%s\" is no time in microseconds: \"%s\"", HEADER_LOGICAL_TIME, text));
	return time;
}

/* What is decoded lives in the batch's context. */
static RecordVerdict
decode_one(const Stream *stream, int reading, const KafkaRecord *record, Change *change,
		   int32 *schema_id)
{
	RawRecord	raw = {record->key, record->key_bytes, record->value, record->value_bytes};
	int			event_time = stream->columns->natts;	/* its place, where there is one */
	char	   *operation = header(record, HEADER_OPERATION);
	FieldWrite *fields;
	DecodeError error;

	*change = (Change) {0};
	if (is_marker(record, change))
		return change->verdict = RECORD_PUT;
	raw.is_patch = operation != NULL && strcmp(operation, HEADER_UPDATE) == 0;
	change->values = palloc0(stream->decoded_count * sizeof(Datum));
	change->isnull = palloc0(stream->decoded_count * sizeof(bool));
	fields = palloc0(stream->decoded_count * sizeof(FieldWrite));
	change->verdict = api->RecordDecodeWrite(stream->decoders[reading], &raw, change->values,
											 change->isnull, fields, schema_id, &error);
	if (change->verdict == RECORD_REJECTED)
		reject(change, error.sqlstate, error.message);
	if (change->verdict == RECORD_REJECTED || change->verdict == RECORD_NEEDS_SCHEMA)
		return change->verdict;

	change->write.kind = change->verdict == RECORD_DELETE ? WRITE_DELETE :
		change->verdict == RECORD_UPDATE ? WRITE_UPDATE : WRITE_PUT;
	change->write.fields = fields + stream->store->key_count;
	change->write.region = stream->region;
	change->write.time = write_time(record, change);
	change->event_time = change->write.time - EPOCH_DIFFERENCE_US;
	if (record->value_bytes > stream->frame_bytes)
		change->write.tie_hash = MergeTieHash(record->value + stream->frame_bytes,
											  record->value_bytes - stream->frame_bytes);
	if (stream->decoded_count > event_time && fields[event_time].change == FIELD_SET &&
		!fields[event_time].isnull && change->verdict != RECORD_DELETE)
		change->event_time = DatumGetTimestampTz(fields[event_time].value);
	return change->verdict;
}

typedef struct Decoding
{
	const Stream *stream;
	int			reading;
	const KafkaRecord *records;
	Change	   *changes;
	int			count;
	int			next;
	int32	   *schema_id;
	bool		needs_schema;
} Decoding;

static void
decode_some(void *argument)
{
	Decoding   *decoding = argument;

	for (; decoding->next < decoding->count; decoding->next++)
	{
		if (decoding->next % RECORDS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
		if (decode_one(decoding->stream, decoding->reading, &decoding->records[decoding->next],
					   &decoding->changes[decoding->next],
					   decoding->schema_id) == RECORD_NEEDS_SCHEMA)
		{
			decoding->needs_schema = true;
			return;
		}
	}
}

/* All of a batch; a record that raises an error is rejected.  False when a schema is missing. */
static bool
decode_batch(Decoding *decoding)
{
	while (decoding->next < decoding->count && !decoding->needs_schema)
	{
		ErrorData  *error = api->SubtransactionTry(decode_some, decoding, SUBTRANSACTION_ANY_ERROR);

		if (error == NULL)
			continue;
		if (ErrorIsTransient(error->sqlerrcode))
			ReThrowError(error);
		reject(&decoding->changes[decoding->next++], error->sqlerrcode, error->message);
	}
	return !decoding->needs_schema;
}

/* By each of the decoders; false when one lacks a schema. */
static bool
decode_all(Stream *stream, const KafkaRecord *records, int count, int32 *schema_id)
{
	Size		all = (Size) stream->decoder_count * count;
	Change	   *changes = MemoryContextAllocHuge(CurrentMemoryContext,
												 Max(all, 1) * sizeof(Change));
	ListCell   *cell;

	for (int i = 0; i < stream->decoder_count; i++)
	{
		Decoding	decoding = {stream, i, records, changes + (Size) i * count, count, 0,
		schema_id};

		stream->asking = i;
		if (!decode_batch(&decoding))
			return false;
	}
	foreach(cell, stream->targets)
	{
		Target	   *target = lfirst(cell);

		target->changes = changes + (Size) target->reading * count;
	}
	return true;
}

/* Writing */

/* Some records of a batch, to some of the targets. */
typedef struct Writing
{
	const Stream *stream;
	const KafkaRecord *records;
	int			first;
	int			end;
	Target	   *only;			/* NULL: all that stay */
	bool		undone;
	bool		gone;			/* a table is */
} Writing;

static bool
takes(const Target *target, const KafkaRecord *record, int i)
{
	const Change *change = &target->changes[i];

	return record->offset >= target->state.next_offset && change->verdict != RECORD_REJECTED &&
		change->push_id == NULL && (target->refusals == NULL || target->refusals[i] == NULL);
}

static bool
takes_part(const Writing *writing, const Target *target)
{
	return writing->only == NULL ? !target->leaves : target == writing->only;
}

static void
append_history(const Stream *stream, WriteKind kind, const HistoryWrite *writes, int count)
{
	static const HistoryEvent events[] = {
		[WRITE_PUT] = HISTORY_PUT,[WRITE_UPDATE] = HISTORY_UPDATE,[WRITE_DELETE] = HISTORY_DELETE
	};

	if (count > 0)
		api->HistoryAppendWrite(stream->store, events[kind],
								kind == WRITE_PUT ? stream->columns : stream->key_columns,
								writes, count,
								strcmp(stream->store->options->conflict_resolution, "arrival") == 0);
}

/* Is the history to have a row as an update leaves it? */
static bool
history_follows_updates(const Writing *writing)
{
	ListCell   *cell;

	foreach(cell, writing->stream->targets)
	{
		const Target *target = lfirst(cell);

		if (target->version != NULL || !takes_part(writing, target))
			continue;
		for (int i = writing->first; i < writing->end; i++)
			if (takes(target, &writing->records[i], i) &&
				target->changes[i].write.kind == WRITE_UPDATE)
				return true;
	}
	return false;
}

static void
write_one(const Writing *writing, Target *target, int i)
{
	const Change *change = &target->changes[i];

	if (!takes_part(writing, target) || !takes(target, &writing->records[i], i))
		return;
	if (target->version != NULL)
		api->VersionWriterApply(target->writer, change->values, &change->write, change->event_time);
	else
	{
		HistoryWrite past = {change->values, change->isnull, change->event_time};

		append_history(writing->stream, change->write.kind, &past, 1);
	}
}

/* A record as one of those has read it who take it; NULL: nobody does. */
static const Change *
taken_change(const Writing *writing, int i)
{
	ListCell   *cell;

	foreach(cell, writing->stream->targets)
	{
		const Target *target = lfirst(cell);

		if (takes_part(writing, target) && takes(target, &writing->records[i], i))
			return &target->changes[i];
	}
	return NULL;
}

/*
 * One by one to all, so that the history finds each row as an update leaves it; by key, as
 * others lock rows who write to several.
 */
static void
write_together(const Writing *writing)
{
	VersionWriter *writer = NULL;
	int			room = writing->end - writing->first + 1;
	KeyedWrite *writes = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(KeyedWrite));
	int		   *places = palloc(room * sizeof(int));
	int		   *order = palloc(room * sizeof(int));
	int			count = 0;
	ListCell   *cell;

	for (int i = writing->first; i < writing->end; i++)
	{
		const Change *change = taken_change(writing, i);

		if (change == NULL)
			continue;
		order[count] = count;
		places[count] = i;
		writes[count++] = (KeyedWrite) {change->values, &change->write, change->event_time};
	}
	foreach(cell, writing->stream->targets)
		if (writer == NULL)
			writer = ((Target *) lfirst(cell))->writer;
	if (writer != NULL)
		api->VersionWriterOrder(writer, writes, count, order);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		foreach(cell, writing->stream->targets)
			write_one(writing, lfirst(cell), places[order[i]]);
	}
	pfree(order);
	pfree(places);
	pfree(writes);
}

/* All records to the history, as many at once as are of one kind. */
static void
write_history(const Writing *writing, const Target *target)
{
	HistoryWrite *past = palloc((writing->end - writing->first + 1) * sizeof(HistoryWrite));
	WriteKind	kind = WRITE_PUT;
	int			count = 0;

	for (int i = writing->first; i < writing->end; i++)
	{
		const Change *change = &target->changes[i];

		if (!takes(target, &writing->records[i], i))
			continue;
		if (change->write.kind != kind)
		{
			append_history(writing->stream, kind, past, count);
			count = 0;
		}
		kind = change->write.kind;
		past[count++] = (HistoryWrite) {change->values, change->isnull, change->event_time};
	}
	append_history(writing->stream, kind, past, count);
	pfree(past);
}

/* All records to one target. */
static void
write_target(const Writing *writing, Target *target)
{
	KeyedWrite *writes;
	int			count = 0;

	if (target->version == NULL)
	{
		write_history(writing, target);
		return;
	}
	writes = MemoryContextAllocHuge(CurrentMemoryContext,
									(writing->end - writing->first + 1) * sizeof(KeyedWrite));
	for (int i = writing->first; i < writing->end; i++)
	{
		const Change *change = &target->changes[i];

		if (takes(target, &writing->records[i], i))
			writes[count++] = (KeyedWrite) {change->values, &change->write, change->event_time};
	}
	api->VersionWriterApplyMany(target->writer, writes, count);
	pfree(writes);
}

static void
close_writers(const Writing *writing)
{
	ListCell   *cell;

	foreach(cell, writing->stream->targets)
	{
		Target	   *target = lfirst(cell);

		if (takes_part(writing, target) && target->writer != NULL)
			api->VersionWriterClose(target->writer);
		target->writer = NULL;
	}
}

static void
write_some(void *argument)
{
	Writing    *writing = argument;
	const Stream *stream = writing->stream;
	ListCell   *cell;

	foreach(cell, stream->targets)
	{
		Target	   *target = lfirst(cell);

		target->writer = NULL;
		if (!takes_part(writing, target) || target->version == NULL)
			continue;
		target->writer = api->VersionWriterOpen(stream->store, target->version, stream->columns);
		writing->gone |= target->writer == NULL;
	}
	if (!writing->gone && history_follows_updates(writing))
		write_together(writing);
	else if (!writing->gone)
		foreach(cell, stream->targets)
			if (takes_part(writing, lfirst(cell)))
				write_target(writing, lfirst(cell));
	close_writers(writing);
}

/* Does an error pass by itself?  A damaged table, or one without its key, does not. */
static bool
is_transient(int sqlstate)
{
	return ErrorIsTransient(sqlstate) && sqlstate != ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE &&
		sqlstate != ERRCODE_DATA_CORRUPTED && sqlstate != ERRCODE_INDEX_CORRUPTED;
}

/*
 * Data, constraints, what a trigger says, and what cannot be resolved, are a record's fault;
 * all else is the version's.
 */
static bool
is_records_fault(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION:
		case ERRCODE_WITH_CHECK_OPTION_VIOLATION:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_PLPGSQL_ERROR:
		case ERRCODE_EXTERNAL_ROUTINE_EXCEPTION:
			return true;
		default:
			return sqlstate == ERRCODE_DATATYPE_MISMATCH ||
				sqlstate == ERRCODE_FEATURE_NOT_SUPPORTED;
	}
}

/* Would a target take these by itself?  Nothing of it stays. */
static ErrorData *
try_range(const Writing *writing, Target *target, int first, int end)
{
	Writing		trial = *writing;
	ErrorData  *error;

	trial.only = target;
	trial.first = first;
	trial.end = end;
	trial.undone = true;
	error = api->SubtransactionTryUnless(write_some, &trial, &trial.undone);
	if (error != NULL && is_transient(error->sqlerrcode))
		ReThrowError(error);
	return error;
}

static void
leave(Target *target, const ErrorData *error)
{
	target->leaves = true;
	target->next.joined = false;
	target->next.error = pstrdup(error->message);
}

/* Refuse those of a range that a target cannot take. */
static void
find_culprits(const Writing *writing, Target *target, int first, int end)
{
	ErrorData  *error = target->leaves || first >= end ? NULL :
		try_range(writing, target, first, end);
	int			middle = first + (end - first) / 2;

	if (error == NULL)
		return;
	if (end - first > 1)
	{
		find_culprits(writing, target, first, middle);
		find_culprits(writing, target, middle, end);
	}
	else if (is_records_fault(error->sqlerrcode))
		target->refusals[first] = make_error(error->sqlerrcode, error->message);
	else
		leave(target, error);
}

/* The history has no record that none of the versions has which read it now. */
static void
refuse_for_history(const Writing *writing, Target *history, int count)
{
	for (int i = 0; i < count; i++)
	{
		DecodeError *refusal = NULL;
		bool		is_taken = false;
		ListCell   *cell;

		foreach(cell, writing->stream->targets)
		{
			Target	   *target = lfirst(cell);

			if (target->version == NULL || target->leaves ||
				writing->records[i].offset < target->state.next_offset)
				continue;
			refusal = target->refusals[i];
			is_taken |= refusal == NULL;
		}
		if (!is_taken)
			history->refusals[i] = refusal;
	}
}

/*
 * Somebody keeps a table locked: its version leaves, so that the others need not wait.  False
 * if that does not help.
 */
static bool
leave_locked(const Writing *writing)
{
	bool		any_leaves = false;
	bool		any_stays = false;
	ListCell   *cell;

	foreach(cell, writing->stream->targets)
	{
		Target	   *target = lfirst(cell);
		Writing		trial = *writing;
		ErrorData  *error;

		if (target->version == NULL)
			continue;
		trial.only = target;
		trial.end = 0;
		trial.undone = true;
		error = api->SubtransactionTryUnless(write_some, &trial, &trial.undone);
		if (error != NULL && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ReThrowError(error);
		if (error != NULL)
			leave(target, error);
		any_leaves |= target->leaves;
		any_stays |= !target->leaves;
	}
	return any_leaves && any_stays;
}

/* Who is at fault for an error, and is to be left out?  It is raised again if that is all. */
static void
find_fault(const Writing *writing, ErrorData *cause, int count)
{
	bool		all_leave = true;
	ListCell   *cell;

	if (cause->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE && leave_locked(writing))
		return;
	if (is_transient(cause->sqlerrcode))
		ReThrowError(cause);
	foreach(cell, writing->stream->targets)
	{
		Target	   *target = lfirst(cell);
		ErrorData  *error;

		target->refusals = palloc0(count * sizeof(DecodeError *));
		if (target->version == NULL)
			refuse_for_history(writing, target, count);
		error = try_range(writing, target, 0, target->version != NULL ? 0 : count);
		if (error != NULL && target->version == NULL)
			ReThrowError(error);
		if (error != NULL)
			leave(target, error);
		else if (target->version != NULL)
			find_culprits(writing, target, 0, count);
		all_leave &= target->leaves || target->version == NULL;
	}
	if (all_leave)
		ReThrowError(cause);
}

/* False when a table is gone. */
static bool
write_all(const Stream *stream, const KafkaRecord *records, int count)
{
	Writing		writing = {.stream = stream,.records = records,.end = count};
	ErrorData  *error = api->SubtransactionTry(write_some, &writing, SUBTRANSACTION_ANY_ERROR);

	if (error == NULL)
		return !writing.gone;
	find_fault(&writing, error, count);
	writing.gone = false;
	write_some(&writing);
	return !writing.gone;
}

/* Bookkeeping */

static void
count_changes(Target *target, const Stream *stream, const KafkaRecord *records, int count)
{
	for (int i = 0; i < count; i++)
	{
		const KafkaRecord *record = &records[i];
		const Change *change = &target->changes[i];
		const DecodeError *error = change->verdict == RECORD_REJECTED ? change->error :
			target->refusals != NULL ? target->refusals[i] : NULL;

		if (record->offset < target->state.next_offset)
			continue;
		target->next.messages++;
		target->next.bytes += Max(record->key_bytes, 0) + Max(record->value_bytes, 0);
		if (change->push_id != NULL)
			continue;
		if (error == NULL && change->verdict == RECORD_DELETE)
			target->next.tombstones++;
		else if (error == NULL)
			target->next.rows++;
		else if (target->version != NULL)
		{
			target->next.rejected++;
			api->RejectedRecordAdd(&target->key, stream->partition, record->offset,
								   RecordTimestamp(record->timestamp_ms),
								   record->key_bytes < 0 ? NULL : record->key, record->key_bytes,
								   record->value_bytes < 0 ? NULL : record->value,
								   record->value_bytes, error);
		}
	}
}

static void
read_markers(const Stream *stream, const KafkaRecord *records, int count)
{
	const Change *changes = ((Target *) linitial(stream->targets))->changes;

	for (int i = 0; i < count; i++)
		if (changes[i].push_id != NULL)
			api->PushMarkerRead(stream->store, changes[i].push_id, changes[i].push_ends,
								stream->partition, stream->partition_count);
}

static void
write_state(Target *target, const KafkaRecord *records, int count, int64 next_offset,
			TimestampTz oldest_time, bool has_caught_up)
{
	PartitionState *next = &target->next;

	if (!target->leaves && next_offset > next->next_offset)
	{
		next->next_offset = next_offset;
		if (count > 0)
		{
			next->batches++;
			next->last_record_time = RecordTimestamp(records[count - 1].timestamp_ms);
			next->last_message_time = oldest_time;
		}
		next->last_commit_time = GetCurrentTimestamp();
	}
	if (has_caught_up)
	{
		next->joined = true;
		next->error = NULL;
	}
	if (!api->PartitionStateWrite(&target->key, next, target->state.next_offset))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("partition %d of topic \"%s\" was moved on by somebody else",
						next->partition, target->key.topic)));
}

BatchResult
StreamWrite(Stream *stream, const KafkaRecord *records, int count, int64 next_offset,
			TimestampTz oldest_time, bool has_caught_up, int32 *schema_id)
{
	MemoryContext context = BatchContext();
	bool		decoded;
	bool		written = true;
	UserContext user;
	ListCell   *cell;

	MemoryContextReset(context);
	MemoryContextSwitchTo(context);
	if (count > 0 && !BatchColumnsAreThere(stream->records, stream->attribute_count))
		return BATCH_TABLE_CHANGED;
	foreach(cell, stream->targets)
	{
		Target	   *target = lfirst(cell);

		target->next = target->state;
		target->refusals = NULL;
		target->leaves = false;
	}
	api->UserContextEnter(&user, stream->store->owner);
	decoded = decode_all(stream, records, count, schema_id);
	if (decoded)
		written = write_all(stream, records, count);
	api->UserContextLeave(&user);
	if (!decoded)
		return BATCH_NEEDS_SCHEMA;
	if (!written)
		return BATCH_TABLE_CHANGED;
	foreach(cell, stream->targets)
	{
		Target	   *target = lfirst(cell);

		if (!target->leaves)
			count_changes(target, stream, records, count);
		write_state(target, records, count, next_offset, oldest_time, has_caught_up);
	}
	read_markers(stream, records, count);
	return BATCH_WRITTEN;
}

bool
StreamCommitted(Stream *stream)
{
	bool		all_stay = true;
	ListCell   *cell;

	foreach(cell, stream->targets)
	{
		Target	   *target = lfirst(cell);

		target->state = target->next;
		target->state.error = NULL;
		target->left = target->leaves;
		all_stay &= !target->leaves;
	}
	return all_stay;
}
