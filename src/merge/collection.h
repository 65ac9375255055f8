/*-------------------------------------------------------------------------
 *
 * collection.h
 *		Arrays and maps that several writers add to and take from.
 *
 * An array's elements, and a map's entries by their keys, are members.  All but the
 * last merged_count of them came with the last write of the whole, at time
 * put_time from a region; each of the last ones has a time of its own, later than that.
 * Members that were taken out are remembered, so that an addition which comes late
 * does not bring them back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_MERGE_COLLECTION_H
#define VENICE_MERGE_COLLECTION_H

#include "utils/jsonb.h"

#include "merge/order.h"

typedef struct CollectionType
{
	bool		is_map;			/* jsonb; else an array */
	Oid			type;
	ValueType	member;			/* an array's elements, a map's keys (text) */
} CollectionType;

typedef struct CollectionMember
{
	Datum		identity;		/* element, or key */
	bool		isnull;			/* of an element */
	Jsonb	   *value;			/* of a map */
	int64		time;			/* of merged and removed ones */
} CollectionMember;

typedef struct Collection
{
	bool		isnull;
	Datum		opaque;			/* JSON that is no object: one value, without members */
	bool		is_opaque;
	CollectionMember *members;
	int			count;

	/* What is kept beside the value. */
	int64		put_time;
	int32		region;
	int			merged_count;
	CollectionMember *removed;
	int			removed_count;
} Collection;

/* What was never written: earlier than, and losing to, all that is. */
#define NEVER			INT64CONST(0)
#define NO_REGION		(-1)

extern void CollectionTypeInit(CollectionType *collection, Oid type, bool is_map,
							   MemoryContext context);

/* The members of a value; the rest of the struct says that it was never written. */
extern void CollectionFromDatum(CollectionType *type, Datum value, bool isnull,
								Collection *collection);

/*
 * Tell a collection which of its members, merged_count of them, were merged, with their
 * times; of an array they are its last.  False when it does not have them.
 */
extern bool CollectionAlign(CollectionType *type, Collection *collection,
							const CollectionMember *merged);

/* The value; *isnull for NULL. */
extern Datum CollectionToDatum(CollectionType *type, const Collection *collection, bool *isnull);

/* In the order of arrival: additions that are not there yet, then removals. */
extern void CollectionChange(CollectionType *type, Collection *collection,
							 const Collection *added, const Collection *removed);

/*
 * By time: write the whole, or add and remove members.  False when what is there is newer
 * and nothing changed.  Members are shared with the arguments.
 */
extern bool CollectionPut(CollectionType *type, Collection *collection, const Collection *value,
						  int64 time, int32 region);
extern bool CollectionMerge(CollectionType *type, Collection *collection, const Collection *added,
							const Collection *removed, int64 time);

/* Forget members that were merged, and removals, before a time. */
extern void CollectionForget(Collection *collection, int64 before);

#endif							/* VENICE_MERGE_COLLECTION_H */
