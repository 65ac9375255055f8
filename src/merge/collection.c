/*-------------------------------------------------------------------------
 *
 * collection.c
 *		Arrays and maps that several writers add to and take from.
 *
 * With times a collection is in one of two states.  Written as a whole and nothing
 * since: members stand as they were written, twice if they were.  Changed since: each
 * member is there once; those that came with the whole first, in their order, then
 * the merged ones by time and identity.  That order, and that of the removed, is
 * what makes the bytes the same whatever came first.
 *
 * A write of the whole beats a change of members at the same time; of two writes of
 * the whole the one from the higher region.
 *
 * Locks: none.
 * Must not know: columns, rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "merge/collection.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* Members by identity, and those of one identity as they stand. */
typedef struct MemberIndex
{
	CollectionType *type;
	CollectionMember **members;
	int			count;
} MemberIndex;

void
CollectionTypeInit(CollectionType *collection, Oid type, bool is_map, MemoryContext context)
{
	collection->is_map = is_map;
	collection->type = type;
	ValueTypeInit(&collection->member, is_map ? TEXTOID : get_base_element_type(type), context);
}

static void
members_of_object(Jsonb *object, Collection *collection)
{
	JsonbIterator *iterator = JsonbIteratorInit(&object->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	CollectionMember *member = NULL;

	collection->members = palloc0(JB_ROOT_COUNT(object) * sizeof(CollectionMember));
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			member = &collection->members[collection->count++];
			member->identity = PointerGetDatum(cstring_to_text_with_len(value.val.string.val,
																		value.val.string.len));
		}
		else if (token == WJB_VALUE)
			member->value = JsonbValueToJsonb(&value);
	}
}

void
CollectionFromDatum(CollectionType *type, Datum value, bool isnull, Collection *collection)
{
	memset(collection, 0, sizeof(Collection));
	collection->put_time = NEVER;
	collection->region = NO_REGION;
	collection->isnull = isnull;
	if (isnull)
		return;
	if (type->is_map)
	{
		Jsonb	   *json = DatumGetJsonbP(value);

		if (JB_ROOT_IS_OBJECT(json))
			members_of_object(json, collection);
		else
		{
			collection->is_opaque = true;
			collection->opaque = JsonbPGetDatum(json);
		}
	}
	else
	{
		Datum	   *elements;
		bool	   *nulls;

		deconstruct_array(DatumGetArrayTypeP(value), type->member.type, type->member.length,
						  type->member.by_value, type->member.align, &elements, &nulls,
						  &collection->count);
		collection->members = palloc0(collection->count * sizeof(CollectionMember));
		for (int i = 0; i < collection->count; i++)
		{
			collection->members[i].identity = elements[i];
			collection->members[i].isnull = nulls[i];
		}
	}
}

Datum
CollectionToDatum(CollectionType *type, const Collection *collection, bool *isnull)
{
	*isnull = collection->isnull;
	if (collection->isnull)
		return (Datum) 0;
	if (collection->is_opaque)
		return collection->opaque;
	if (type->is_map)
	{
		JsonbParseState *state = NULL;
		JsonbValue	value;

		pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		for (int i = 0; i < collection->count; i++)
		{
			text	   *key = DatumGetTextPP(collection->members[i].identity);

			value.type = jbvString;
			value.val.string.val = VARDATA_ANY(key);
			value.val.string.len = VARSIZE_ANY_EXHDR(key);
			pushJsonbValue(&state, WJB_KEY, &value);
			if (!JsonbExtractScalar(&collection->members[i].value->root, &value))
				JsonbToJsonbValue(collection->members[i].value, &value);
			pushJsonbValue(&state, WJB_VALUE, &value);
		}
		return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
	}
	else
	{
		Datum	   *elements = palloc(collection->count * sizeof(Datum));
		bool	   *nulls = palloc(collection->count * sizeof(bool));
		int			lower = 1;

		for (int i = 0; i < collection->count; i++)
		{
			elements[i] = collection->members[i].identity;
			nulls[i] = collection->members[i].isnull;
		}
		if (collection->count == 0)
			return PointerGetDatum(construct_empty_array(type->member.type));
		return PointerGetDatum(construct_md_array(elements, nulls, 1,
												  unconstify(int *, &collection->count), &lower,
												  type->member.type, type->member.length,
												  type->member.by_value, type->member.align));
	}
}

static int
compare_identities(CollectionType *type, const CollectionMember *a, const CollectionMember *b)
{
	return ValueCompare(&type->member, a->identity, a->isnull, b->identity, b->isnull);
}

static int
compare_in_index(const void *a, const void *b, void *type)
{
	const CollectionMember *left = *(CollectionMember *const *) a;
	const CollectionMember *right = *(CollectionMember *const *) b;
	int			result = compare_identities(type, left, right);

	return result != 0 ? result : (left > right) - (left < right);
}

static int
compare_by_time(const void *a, const void *b, void *type)
{
	const CollectionMember *left = a;
	const CollectionMember *right = b;

	if (left->time != right->time)
		return left->time < right->time ? -1 : 1;
	return compare_identities(type, left, right);
}

static void
make_index(MemberIndex *index, CollectionType *type, CollectionMember *members, int count)
{
	index->type = type;
	index->count = count;
	index->members = palloc(count * sizeof(CollectionMember *));
	for (int i = 0; i < count; i++)
		index->members[i] = &members[i];
	qsort_arg(index->members, count, sizeof(CollectionMember *), compare_in_index, type);
}

/* Where members of that identity begin, or would. */
static int
first_place(const MemberIndex *index, const CollectionMember *member)
{
	int			low = 0;
	int			high = index->count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (compare_identities(index->type, index->members[middle], member) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first member of that identity, as they stand. */
static CollectionMember *
find_member(const MemberIndex *index, const CollectionMember *member)
{
	int			place = first_place(index, member);

	if (place < index->count && compare_identities(index->type, index->members[place], member) == 0)
		return index->members[place];
	return NULL;
}

bool
CollectionAlign(CollectionType *type, Collection *collection, const CollectionMember *merged)
{
	int			put_count = collection->count - collection->merged_count;
	CollectionMember *members;
	MemberIndex		index;
	MemberIndex		among_merged;
	int			count = 0;

	if (put_count < 0)
		return false;
	if (!type->is_map)
	{
		for (int i = 0; i < collection->merged_count; i++)
			collection->members[put_count + i].time = merged[i].time;
		return true;
	}
	members = palloc(collection->count * sizeof(CollectionMember));
	make_index(&index, type, collection->members, collection->count);
	make_index(&among_merged, type, unconstify(CollectionMember *, merged),
			   collection->merged_count);
	for (int i = 0; i < collection->count; i++)
		if (find_member(&among_merged, &collection->members[i]) == NULL && count < put_count)
			members[count++] = collection->members[i];
	for (int i = 0; i < collection->merged_count; i++)
	{
		CollectionMember *member = find_member(&index, &merged[i]);

		if (member == NULL)
			return false;
		members[count] = *member;
		members[count++].time = merged[i].time;
	}
	collection->members = members;
	return count == collection->count;
}

/* Keep the last of each identity. */
static int
remove_duplicates(CollectionType *type, CollectionMember *members, int count)
{
	bool	   *repeated = palloc0(count * sizeof(bool));
	int			kept = 0;
	MemberIndex		index;

	make_index(&index, type, members, count);
	for (int i = 0; i + 1 < count; i++)
		if (compare_identities(type, index.members[i], index.members[i + 1]) == 0)
			repeated[index.members[i] - members] = true;
	for (int i = 0; i < count; i++)
		if (!repeated[i])
			members[kept++] = members[i];
	return kept;
}

/* A copy of the members, with room for more. */
static CollectionMember *
copy_members(const CollectionMember *members, int count, int more)
{
	CollectionMember *copy = palloc((count + more) * sizeof(CollectionMember));

	memcpy(copy, members, count * sizeof(CollectionMember));
	return copy;
}

/* A NULL, or one value without members, gives way to members. */
static void
begin_members(Collection *collection)
{
	collection->isnull = false;
	collection->is_opaque = false;
}

void
CollectionChange(CollectionType *type, Collection *collection, const Collection *added,
				 const Collection *removed)
{
	bool		as_it_is = collection->isnull || collection->is_opaque;
	CollectionMember *members = copy_members(collection->members, collection->count, added->count);
	int			count = collection->count;
	bool	   *gone;
	int			kept = 0;
	MemberIndex		index;
	MemberIndex		in;

	make_index(&index, type, members, count);
	make_index(&in, type, added->members, added->count);
	for (int i = 0; i < added->count; i++)
	{
		CollectionMember *add = &added->members[i];
		CollectionMember *present = find_member(&index, add);

		if (present != NULL)
			present->value = add->value;
		else if (as_it_is || find_member(&in, add) == add)
			members[count++] = *add;
	}

	make_index(&index, type, members, count);
	gone = palloc0(count * sizeof(bool));
	for (int i = 0; i < removed->count; i++)
		for (int place = first_place(&index, &removed->members[i]); place < count; place++)
		{
			CollectionMember *member = index.members[place];

			if (compare_identities(type, member, &removed->members[i]) != 0)
				break;
			if (!gone[member - members])
			{
				gone[member - members] = true;
				break;
			}
		}
	for (int i = 0; i < count; i++)
		if (!gone[i])
			members[kept++] = members[i];
	begin_members(collection);
	collection->members = members;
	collection->count = kept;
}

/* Is what is there newer than a write?  Changes of members are from no region. */
static bool
is_newer(const Collection *collection, int64 time, int32 region)
{
	return collection->put_time > time ||
		(collection->put_time == time && collection->region > region);
}

static bool
was_changed(const Collection *collection)
{
	return collection->merged_count > 0 || collection->removed_count > 0;
}

/* Of the removed members keep those that are not older. */
static void
forget_removed(Collection *collection, int64 since)
{
	int			kept = 0;

	for (int i = 0; i < collection->removed_count; i++)
		if (collection->removed[i].time >= since)
			collection->removed[kept++] = collection->removed[i];
	collection->removed_count = kept;
}

bool
CollectionPut(CollectionType *type, Collection *collection, const Collection *value, int64 time,
			  int32 region)
{
	Collection	result = *value;
	CollectionMember *merged = collection->members + collection->count - collection->merged_count;
	int			put_count;
	MemberIndex		active;
	MemberIndex		removed;

	if (is_newer(collection, time, region))
		return false;
	result.put_time = time;
	result.region = region;
	result.merged_count = 0;
	result.removed = collection->removed;
	result.removed_count = 0;
	if (was_changed(collection))
	{
		CollectionMember *members = copy_members(value->members, value->count,
												 collection->merged_count);
		int			count = remove_duplicates(type, members, value->count);

		result.removed = copy_members(collection->removed, collection->removed_count, 0);
		result.removed_count = collection->removed_count;
		forget_removed(&result, time + 1);
		make_index(&active, type, merged, collection->merged_count);
		make_index(&removed, type, result.removed, result.removed_count);
		put_count = 0;
		for (int i = 0; i < count; i++)
		{
			CollectionMember *later = find_member(&active, &members[i]);

			if ((later == NULL || later->time <= time) &&
				find_member(&removed, &members[i]) == NULL)
				members[put_count++] = members[i];
		}
		result.members = members;
		result.count = put_count;
		for (int i = 0; i < collection->merged_count; i++)
			if (merged[i].time > time)
				members[result.count++] = merged[i];
		result.merged_count = result.count - put_count;
		if (was_changed(&result))
			begin_members(&result);
		else
		{
			/* As if nothing had come before: also with what stands in it twice. */
			result.members = value->members;
			result.count = value->count;
		}
	}
	*collection = result;
	return true;
}

/* Of two values of one key at one time the larger stays. */
static void
keep_larger(CollectionMember *member, Jsonb *value)
{
	if (value != NULL && compareJsonbContainers(&value->root, &member->value->root) > 0)
		member->value = value;
}

bool
CollectionMerge(CollectionType *type, Collection *collection, const Collection *added,
				const Collection *removed, int64 time)
{
	Collection	result = *collection;
	int			room = added->count + removed->count;
	CollectionMember *members;
	CollectionMember *deleted;
	bool	   *gone;			/* of members */
	bool	   *back;			/* of deleted */
	bool		changed = false;
	int			put_count;
	int			count;
	int			kept;
	MemberIndex		live;
	MemberIndex		dead;
	MemberIndex		out;
	MemberIndex		in;

	if (is_newer(collection, time, PG_INT32_MIN))
		return false;

	members = copy_members(collection->members, collection->count, added->count);
	count = collection->count;
	if (!was_changed(collection))
		count = remove_duplicates(type, members, count);
	put_count = count - collection->merged_count;
	for (int i = 0; i < put_count; i++)
		members[i].time = collection->put_time;
	deleted = copy_members(collection->removed, collection->removed_count, room);
	result.members = members;
	result.count = count;
	result.removed = deleted;
	gone = palloc0((count + added->count) * sizeof(bool));
	back = palloc0((collection->removed_count + room) * sizeof(bool));
	make_index(&live, type, members, count);
	make_index(&dead, type, deleted, collection->removed_count);
	make_index(&in, type, added->members, added->count);
	make_index(&out, type, removed->members, removed->count);

	for (int i = 0; i < in.count; i++)
	{
		CollectionMember *add = in.members[i];
		CollectionMember *present = find_member(&live, add);
		CollectionMember *before = find_member(&dead, add);

		/* One that is both added and taken out: of an array neither, of a map taken out. */
		if (find_member(&out, add) != NULL ||
			(i > 0 && compare_identities(type, in.members[i - 1], add) == 0))
			continue;
		if (present != NULL && present->time >= time)
		{
			if (type->is_map && present->time == time)
			{
				keep_larger(present, add->value);
				changed = true;
			}
			continue;
		}
		if (before != NULL && before->time >= time)
			continue;
		if (present != NULL)
			gone[present - members] = true;
		if (before != NULL)
			back[before - deleted] = true;
		members[result.count] = *add;
		members[result.count++].time = time;
		changed = true;
	}
	for (int i = 0; i < out.count; i++)
	{
		CollectionMember *remove = out.members[i];
		CollectionMember *present = find_member(&live, remove);
		CollectionMember *before = find_member(&dead, remove);

		if ((!type->is_map && find_member(&in, remove) != NULL) ||
			(i > 0 && compare_identities(type, out.members[i - 1], remove) == 0) ||
			(present != NULL && present->time > time) ||
			(before != NULL && before->time >= time))
			continue;
		if (present != NULL)
			gone[present - members] = true;
		if (before != NULL)
			back[before - deleted] = true;
		deleted[result.removed_count] = *remove;
		deleted[result.removed_count].value = NULL;
		deleted[result.removed_count++].time = time;
		changed = true;
	}
	if (!changed)
		return false;

	/* What came with the whole keeps its place and has no time of its own. */
	kept = 0;
	for (int i = 0; i < result.count; i++)
	{
		if (i == put_count)
			result.merged_count = kept;
		if (!gone[i])
			members[kept++] = members[i];
	}
	result.merged_count = put_count < result.count ? kept - result.merged_count : 0;
	result.count = kept;
	qsort_arg(members + kept - result.merged_count, result.merged_count,
			  sizeof(CollectionMember), compare_by_time, type);
	kept = 0;
	for (int i = 0; i < result.removed_count; i++)
		if (!back[i])
			deleted[kept++] = deleted[i];
	result.removed_count = kept;
	qsort_arg(deleted, kept, sizeof(CollectionMember), compare_by_time, type);
	begin_members(&result);
	*collection = result;
	return true;
}

void
CollectionForget(Collection *collection, int64 before)
{
	CollectionMember *merged = collection->members + collection->count - collection->merged_count;
	int			old = 0;

	while (old < collection->merged_count && merged[old].time < before)
		old++;
	memmove(merged, merged + old, (collection->merged_count - old) * sizeof(CollectionMember));
	collection->merged_count -= old;
	collection->count -= old;
	forget_removed(collection, before);
}
