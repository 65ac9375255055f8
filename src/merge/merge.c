/*-------------------------------------------------------------------------
 *
 * merge.c
 *		A write meets what is stored: write compute and conflict resolution.
 *
 * By arrival a write applies to whatever is there.  By row and by field it applies
 * where it is later than what it would replace, so that the same writes leave the
 * same row in whatever order they come.  What came with a push is earlier than all.
 * A deleted row leaves its metadata, or a late write would bring it back.
 *
 * Locks: none.
 * Must not know: where rows are, and where writes come from.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "merge/merge.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

#include "common/compat.h"

typedef struct Field
{
	const MergeColumn *column;
	MergeKind	kind;
	ValueType	type;
	CollectionType collection;	/* unless it is a scalar */
	FmgrInfo	add;			/* fn_oid invalid: not a number, or not yet looked up */
} Field;

struct Merge
{
	MergePolicy policy;
	int			count;
	Field	   *fields;
	CollectionType **types;		/* for the metadata */
	MemoryContext context;
};

static MergeKind
kind_of(Oid type)
{
	Oid			base = getBaseType(type);

	return base == JSONBOID ? MERGE_MAP :
		OidIsValid(get_base_element_type(base)) ? MERGE_LIST : MERGE_SCALAR;
}

Merge *
MergeCreate(const MergeColumn *columns, int count, MergePolicy policy, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Merge	   *merge = palloc0(sizeof(Merge));

	merge->policy = policy;
	merge->count = count;
	merge->context = context;
	merge->fields = palloc0(count * sizeof(Field));
	merge->types = palloc0(count * sizeof(CollectionType *));
	for (int i = 0; i < count; i++)
	{
		Field	   *field = &merge->fields[i];

		field->column = &columns[i];
		field->kind = kind_of(columns[i].type);
		ValueTypeInit(&field->type, getBaseType(columns[i].type), context);
		if (field->kind != MERGE_SCALAR)
		{
			CollectionTypeInit(&field->collection, getBaseType(columns[i].type),
							   field->kind == MERGE_MAP, context);
			merge->types[i] = &field->collection;
		}
	}
	MemoryContextSwitchTo(old);
	return merge;
}

/* What a write takes out of a collection; a map's keys come as text[]. */
static void
removed_members(Field *field, const FieldWrite *write, Collection *removed)
{
	CollectionType keys = field->collection;

	keys.is_map = false;
	CollectionFromDatum(&keys, write->removed, write->removed_isnull, removed);
}

static void
begin_row(Merge *merge, MergeRow *row)
{
	if (row->exists)
		return;
	row->exists = true;
	row->values = palloc(merge->count * sizeof(Datum));
	row->isnull = palloc(merge->count * sizeof(bool));
	for (int i = 0; i < merge->count; i++)
	{
		row->values[i] = merge->fields[i].column->default_value;
		row->isnull[i] = merge->fields[i].column->default_isnull;
	}
}

static void
change_field(Merge *merge, Field *field, const FieldWrite *write, Datum *value, bool *isnull)
{
	Collection	collection;
	Collection	added;
	Collection	removed;

	switch (write->change)
	{
		case FIELD_KEEP:
			break;
		case FIELD_SET:
			*value = write->value;
			*isnull = write->isnull;
			break;
		case FIELD_ADD:
			if (!OidIsValid(field->add.fn_oid))
			{
				FieldWriteCheck(field->column->name, field->column->type, FIELD_ADD);
				fmgr_info_cxt(FieldAddFunction(field->column->type), &field->add, merge->context);
			}
			if (write->isnull)
				break;
			*value = *isnull ? write->value : FunctionCall2(&field->add, *value, write->value);
			*isnull = false;
			break;
		case FIELD_MEMBERS:
			CollectionFromDatum(&field->collection, *value, *isnull, &collection);
			CollectionFromDatum(&field->collection, write->value, write->isnull, &added);
			removed_members(field, write, &removed);
			CollectionChange(&field->collection, &collection, &added, &removed);
			*value = CollectionToDatum(&field->collection, &collection, isnull);
			break;
	}
}

static bool
apply_by_arrival(Merge *merge, const RowWrite *write, MergeRow *row)
{
	if (write->kind == WRITE_DELETE)
	{
		bool		existed = row->exists;

		row->exists = false;
		return existed;
	}
	begin_row(merge, row);
	for (int i = 0; i < merge->count; i++)
		change_field(merge, &merge->fields[i], &write->fields[i], &row->values[i], &row->isnull[i]);
	return true;
}

/* A row that is written to in part is as of its last write. */
static void
date_row(Merge *merge, const RowWrite *write, MergeRow *row)
{
	RowMetadata metadata = {.tie_hash = 0};

	(void) MetadataReadTime(row->metadata, &metadata.time);
	metadata.time = Max(metadata.time, write->time);
	row->metadata = MetadataWrite(&metadata, merge->types, merge->count);
}

pg_noreturn static void
refuse_update(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("rows that are resolved as a whole cannot be updated in part"),
			 errhint("Set the store's conflict_resolution to \"field\", or put the whole row.")));
	pg_unreachable();
}

pg_noreturn static void
refuse_sum(const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("column \"%s\" cannot be added to where the later write wins", column),
			 errdetail("A sum depends on all of its parts, and not on the latest."),
			 errhint("Set the column, or set the store's conflict_resolution to \"arrival\".")));
	pg_unreachable();
}

void
MergeCheckUpdate(MergePolicy policy, TupleDesc columns, int first, const FieldWrite *fields)
{
	if (policy == MERGE_BY_ROW)
		refuse_update();
	for (int i = first; policy == MERGE_BY_FIELD && i < columns->natts; i++)
		if (fields[i - first].change == FIELD_ADD)
			refuse_sum(NameStr(TupleDescAttr(columns, i)->attname));
}

static bool
apply_by_row(Merge *merge, RowMetadata *metadata, const RowWrite *write, MergeRow *row)
{
	bool		wins = write->time > metadata->time;

	if (write->kind == WRITE_UPDATE && write->is_replayed)
		return apply_by_arrival(merge, write, row);
	if (write->kind == WRITE_UPDATE)
		refuse_update();
	if (write->time == metadata->time)
		wins = write->kind == WRITE_DELETE || (row->exists && write->tie_hash > metadata->tie_hash);
	if (!wins)
		return false;
	metadata->time = write->time;
	metadata->tie_hash = write->kind == WRITE_DELETE ? 0 : write->tie_hash;
	if (write->kind == WRITE_DELETE)
		row->exists = false;
	else
	{
		begin_row(merge, row);
		for (int i = 0; i < merge->count; i++)
			change_field(merge, &merge->fields[i], &write->fields[i], &row->values[i],
						 &row->isnull[i]);
	}
	return true;
}

/* A row's one time becomes that of each of its fields. */
static void
expand_metadata(Merge *merge, RowMetadata *metadata)
{
	if (metadata->by_field)
		return;
	metadata->by_field = true;
	metadata->fields = palloc0(merge->count * sizeof(FieldMetadata));
	for (int i = 0; i < merge->count; i++)
	{
		metadata->fields[i].time = metadata->time;
		metadata->fields[i].collection.put_time = metadata->time;
		metadata->fields[i].collection.region = NO_REGION;
	}
}

/* A collection as it is stored: the value's members with what the metadata say of them. */
static void
load_collection(Field *field, FieldMetadata *metadata, Datum value, bool isnull)
{
	Collection	kept = metadata->collection;
	Collection *collection = &metadata->collection;

	CollectionFromDatum(&field->collection, value, isnull, collection);
	collection->put_time = kept.put_time;
	collection->region = kept.region;
	collection->removed = kept.removed;
	collection->removed_count = kept.removed_count;
	collection->merged_count = kept.merged_count;

	/* Who else has changed it, a trigger say, left nothing to be known of single members. */
	if (!CollectionAlign(&field->collection, collection, kept.members))
		collection->merged_count = 0;
}

/*
 * One field of a write.  *deleted is set when a delete has left nothing of it, as it was
 * the last to have been written.
 */
static bool
merge_scalar(Field *field, FieldMetadata *metadata, const RowWrite *write, const FieldWrite *change,
			 Datum *value, bool *isnull, bool *deleted)
{
	Datum		new_value = field->column->default_value;
	bool		new_isnull = field->column->default_isnull;

	if (write->time < metadata->time)
		return false;
	if (write->kind == WRITE_DELETE)
		*deleted = true;
	else
	{
		new_value = change->value;
		new_isnull = change->isnull;
		if (write->time == metadata->time &&
			(metadata->deleted ||
			 ValueCompare(&field->type, new_value, new_isnull, *value, *isnull) <= 0))
			return false;
	}
	metadata->time = write->time;
	metadata->deleted = *deleted;
	*value = new_value;
	*isnull = new_isnull;
	return true;
}

static bool
merge_collection(Field *field, FieldMetadata *metadata, const RowWrite *write,
				 const FieldWrite *change, Datum *value, bool *isnull, bool *deleted)
{
	Collection *collection = &metadata->collection;
	Collection	given;
	Collection	removed;
	bool		changed;

	load_collection(field, metadata, *value, *isnull);
	if (write->kind == WRITE_DELETE)
		CollectionFromDatum(&field->collection, field->column->default_value,
							field->column->default_isnull, &given);
	else
		CollectionFromDatum(&field->collection, change->value, change->isnull, &given);
	if (write->kind == WRITE_DELETE || change->change == FIELD_SET)
		changed = CollectionPut(&field->collection, collection, &given, write->time, write->region);
	else
	{
		removed_members(field, change, &removed);
		changed = CollectionMerge(&field->collection, collection, &given, &removed, write->time);
	}
	*deleted = write->kind == WRITE_DELETE && changed && collection->merged_count == 0 &&
		collection->removed_count == 0;
	if (changed)
		*value = CollectionToDatum(&field->collection, collection, isnull);
	return changed;
}

static bool
apply_by_field(Merge *merge, RowMetadata *metadata, const RowWrite *write, MergeRow *row)
{
	bool		existed = row->exists;
	bool		changed = false;
	bool		deleted = true;

	expand_metadata(merge, metadata);
	begin_row(merge, row);
	for (int i = 0; i < merge->count; i++)
	{
		Field	   *field = &merge->fields[i];
		const FieldWrite *change = write->kind == WRITE_DELETE ? NULL : &write->fields[i];
		bool		field_deleted = false;

		if (change != NULL && change->change == FIELD_KEEP)
			continue;
		if (change != NULL && change->change == FIELD_ADD && write->is_replayed)
		{
			change_field(merge, field, change, &row->values[i], &row->isnull[i]);
			changed = true;
			continue;
		}
		if (change != NULL && change->change == FIELD_ADD)
			refuse_sum(field->column->name);
		if (field->kind == MERGE_SCALAR)
			changed |= merge_scalar(field, &metadata->fields[i], write, change, &row->values[i],
									&row->isnull[i], &field_deleted);
		else
			changed |= merge_collection(field, &metadata->fields[i], write, change, &row->values[i],
										&row->isnull[i], &field_deleted);
		deleted &= field_deleted;
	}
	if (write->kind == WRITE_DELETE)
		row->exists = existed && !deleted;
	else
		row->exists = existed || changed;
	return changed;
}

bool
MergeApply(Merge *merge, const RowWrite *write, MergeRow *row)
{
	RowMetadata metadata;
	int64		earliest = PG_INT64_MAX;
	bool		changed;

	if (write->kind == WRITE_EXPIRE)
		return row->exists &&
			MergeExpire(merge, write->time, write->with_pushed, row, &earliest);
	if (merge->policy == MERGE_BY_ARRIVAL || merge->policy == MERGE_BY_ARRIVAL_DATED)
	{
		changed = apply_by_arrival(merge, write, row);
		if (row->exists && merge->policy == MERGE_BY_ARRIVAL_DATED)
			date_row(merge, write, row);
		return changed;
	}
	MetadataRead(row->metadata, merge->types, merge->count, &metadata);
	if (merge->policy == MERGE_BY_FIELD || metadata.by_field)
		changed = apply_by_field(merge, &metadata, write, row);
	else
		changed = apply_by_row(merge, &metadata, write, row);
	if (changed)
		row->metadata = MetadataWrite(&metadata, merge->types, merge->count);
	return changed;
}

/* Is a value that came with a push, or was never written, more than the default? */
static bool
is_more_than_default(Field *field, Datum value, bool isnull)
{
	return ValueCompare(&field->type, value, isnull, field->column->default_value,
						field->column->default_isnull) != 0;
}

static bool
has_expired(int64 time, int64 before, bool with_pushed)
{
	return time < before && (time != NEVER || with_pushed);
}

static bool
expire_scalar(Field *field, FieldMetadata *metadata, int64 before, bool with_pushed, Datum *value,
			  bool *isnull)
{
	if (metadata->deleted || !has_expired(metadata->time, before, with_pushed) ||
		(metadata->time == NEVER && !is_more_than_default(field, *value, *isnull)))
		return false;
	metadata->time = before - 1;
	metadata->deleted = true;
	*value = field->column->default_value;
	*isnull = field->column->default_isnull;
	return true;
}

static bool
expire_collection(Field *field, FieldMetadata *metadata, int64 before, bool with_pushed,
				  Datum *value, bool *isnull)
{
	Collection *collection = &metadata->collection;
	bool		whole = has_expired(collection->put_time, before, with_pushed);
	Datum		old_value = *value;
	bool		old_isnull = *isnull;
	Collection	nothing;

	/* Merged members are in the order of their times. */
	if (!whole && (collection->merged_count == 0 || collection->members[0].time >= before))
		return false;
	load_collection(field, metadata, *value, *isnull);
	CollectionFromDatum(&field->collection, field->column->default_value,
						field->column->default_isnull, &nothing);
	if (whole)
		(void) CollectionPut(&field->collection, collection, &nothing, before - 1, NO_REGION);
	else
	{
		CollectionForget(collection, before);
		if (collection->count == 0)
		{
			collection->isnull = nothing.isnull;
			collection->is_opaque = nothing.is_opaque;
			collection->opaque = nothing.opaque;
			collection->members = nothing.members;
			collection->count = nothing.count;
		}
	}
	*value = CollectionToDatum(&field->collection, collection, isnull);
	return ValueCompare(&field->type, old_value, old_isnull, *value, *isnull) != 0;
}

/* The oldest write that a field has its value from; PG_INT64_MAX: from none. */
static int64
oldest_write(Field *field, const FieldMetadata *metadata)
{
	const Collection *collection = &metadata->collection;

	if (field->kind == MERGE_SCALAR)
		return metadata->deleted || metadata->time == NEVER ? PG_INT64_MAX : metadata->time;
	if (collection->put_time != NEVER)
		return collection->put_time;
	return collection->merged_count == 0 ? PG_INT64_MAX :
		collection->members[collection->count - collection->merged_count].time;
}

static bool
expire_fields(Merge *merge, RowMetadata *metadata, int64 before, bool with_pushed, MergeRow *row,
			  int64 *earliest)
{
	RowWrite	end = {.kind = WRITE_DELETE,.time = before - 1,.region = NO_REGION};
	int64		oldest_left = PG_INT64_MAX;
	bool		changed = false;
	bool		left = false;

	for (int i = 0; i < merge->count; i++)
	{
		Field	   *field = &merge->fields[i];
		FieldMetadata *its = &metadata->fields[i];
		int64		oldest;

		changed |= field->kind == MERGE_SCALAR ?
			expire_scalar(field, its, before, with_pushed, &row->values[i], &row->isnull[i]) :
			expire_collection(field, its, before, with_pushed, &row->values[i], &row->isnull[i]);
		oldest = oldest_write(field, its);
		if (oldest >= before)
			oldest_left = Min(oldest_left, oldest);
		left |= (oldest >= before && oldest != PG_INT64_MAX) || its->collection.merged_count > 0 ||
			is_more_than_default(field, row->values[i], row->isnull[i]);
	}
	if (left)
		*earliest = Min(*earliest, oldest_left);
	if (!changed || left)
		return changed;
	(void) apply_by_field(merge, metadata, &end, row);
	row->exists = false;
	return true;
}

bool
MergeExpire(Merge *merge, int64 before, bool with_pushed, MergeRow *row, int64 *earliest)
{
	RowMetadata metadata = {.tie_hash = 0};
	bool		expired;

	if (MetadataReadTime(row->metadata, &metadata.time))
	{
		if (metadata.time >= before)
			*earliest = Min(*earliest, metadata.time);
		if (!has_expired(metadata.time, before, false))
			return false;
		metadata.time = before - 1;
		row->exists = false;
		expired = true;
	}
	else
	{
		MetadataRead(row->metadata, merge->types, merge->count, &metadata);
		expired = expire_fields(merge, &metadata, before, with_pushed, row, earliest);
	}
	if (expired)
		row->metadata = MetadataWrite(&metadata, merge->types, merge->count);
	return expired;
}
