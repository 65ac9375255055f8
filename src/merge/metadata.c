/*-------------------------------------------------------------------------
 *
 * metadata.c
 *		When, and from where, the parts of a row were written: column "_meta".
 *
 * One form byte, then: of a row as a whole its time and tie-break; else for each column
 * its time, or what a collection keeps.  Integers are in network byte order and
 * values in their types' binary form, so that a dump restores anywhere.  An array's
 * merged elements are its last ones, and only their times are kept; a map has no order,
 * so that its merged keys are kept as well.
 *
 * Locks: none.
 * Must not know: which write wins.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "merge/metadata.h"

#include "libpq/pqformat.h"
#include "port/pg_bswap.h"

#define FORM_ROW		1
#define FORM_FIELDS		2

static void
write_members(StringInfo buffer, CollectionType *type, const CollectionMember *members, int count,
			  bool with_identity)
{
	pq_sendint32(buffer, count);
	for (int i = 0; i < count; i++)
	{
		pq_sendint64(buffer, members[i].time);
		if (!with_identity)
			continue;
		pq_sendbyte(buffer, members[i].isnull);
		if (!members[i].isnull)
			ValueWrite(buffer, &type->member, members[i].identity);
	}
}

static CollectionMember *
read_members(StringInfo buffer, CollectionType *type, bool with_identity, int *count)
{
	CollectionMember *members;

	*count = pq_getmsgint(buffer, 4);
	members = palloc0(*count * sizeof(CollectionMember));
	for (int i = 0; i < *count; i++)
	{
		members[i].time = pq_getmsgint64(buffer);
		if (!with_identity)
			continue;
		members[i].isnull = pq_getmsgbyte(buffer);
		if (!members[i].isnull)
			members[i].identity = ValueRead(buffer, &type->member);
	}
	return members;
}

static void
write_field(StringInfo buffer, CollectionType *type, const FieldMetadata *field)
{
	const Collection *collection = &field->collection;

	if (type == NULL)
	{
		pq_sendint64(buffer, field->time);
		pq_sendbyte(buffer, field->deleted);
		return;
	}
	pq_sendint64(buffer, collection->put_time);
	pq_sendint32(buffer, collection->region);
	write_members(buffer, type,
				  collection->members + collection->count - collection->merged_count,
				  collection->merged_count, type->is_map);
	write_members(buffer, type, collection->removed, collection->removed_count, true);
}

static void
read_field(StringInfo buffer, CollectionType *type, FieldMetadata *field)
{
	Collection *collection = &field->collection;

	if (type == NULL)
	{
		field->time = pq_getmsgint64(buffer);
		field->deleted = pq_getmsgbyte(buffer);
		return;
	}
	collection->put_time = pq_getmsgint64(buffer);
	collection->region = pq_getmsgint(buffer, 4);
	collection->members = read_members(buffer, type, type->is_map, &collection->merged_count);
	collection->count = collection->merged_count;
	collection->removed = read_members(buffer, type, true, &collection->removed_count);
}

void
MetadataRead(const bytea *stored, CollectionType **types, int count, RowMetadata *metadata)
{
	StringInfoData buffer;
	int			field_count;

	memset(metadata, 0, sizeof(RowMetadata));
	metadata->time = NEVER;
	if (stored == NULL)
		return;
	initStringInfo(&buffer);
	appendBinaryStringInfo(&buffer, VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
	metadata->by_field = pq_getmsgbyte(&buffer) == FORM_FIELDS;
	if (!metadata->by_field)
	{
		metadata->time = pq_getmsgint64(&buffer);
		metadata->tie_hash = pq_getmsgint(&buffer, 4);
		return;
	}
	field_count = pq_getmsgint(&buffer, 4);
	metadata->fields = palloc0(count * sizeof(FieldMetadata));
	for (int i = 0; i < count; i++)
	{
		if (i < field_count)
			read_field(&buffer, types[i], &metadata->fields[i]);
		else
			metadata->fields[i].collection.region = NO_REGION;
	}
}

bool
MetadataReadTime(const bytea *stored, int64 *time)
{
	const char *bytes;
	uint64		value;

	*time = NEVER;
	if (stored == NULL)
		return true;
	bytes = VARDATA_ANY(stored);
	if (VARSIZE_ANY_EXHDR(stored) < 1 + sizeof(value) || bytes[0] != FORM_ROW)
		return false;
	memcpy(&value, bytes + 1, sizeof(value));
	*time = (int64) pg_ntoh64(value);
	return true;
}

bytea *
MetadataWrite(const RowMetadata *metadata, CollectionType **types, int count)
{
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendbyte(&buffer, metadata->by_field ? FORM_FIELDS : FORM_ROW);
	if (metadata->by_field)
	{
		pq_sendint32(&buffer, count);
		for (int i = 0; i < count; i++)
			write_field(&buffer, types[i], &metadata->fields[i]);
	}
	else
	{
		pq_sendint64(&buffer, metadata->time);
		pq_sendint32(&buffer, metadata->tie_hash);
	}
	return pq_endtypsend(&buffer);
}
