/*-------------------------------------------------------------------------
 *
 * merge.h
 *		A write meets what is stored: write compute and conflict resolution.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_MERGE_H
#define VENICE_MERGE_H

#include "access/tupdesc.h"

#include "common/field_write.h"
#include "merge/metadata.h"

typedef enum MergePolicy
{
	MERGE_BY_ARRIVAL,			/* the later in the log wins; no metadata */
	MERGE_BY_ARRIVAL_DATED,		/* the same; metadata say when the row was written */
	MERGE_BY_ROW,				/* the later by time wins, rows as a whole */
	MERGE_BY_FIELD				/* column by column, arrays and maps member by member */
} MergePolicy;

/* A value column. */
typedef struct MergeColumn
{
	const char *name;
	Oid			type;
	Datum		default_value;	/* of a row that an update begins, or a delete leaves */
	bool		default_isnull;
} MergeColumn;

typedef enum WriteKind
{
	WRITE_PUT,					/* every column is set */
	WRITE_UPDATE,
	WRITE_DELETE,
	WRITE_EXPIRE				/* what is older than its time, by MergeExpire */
} WriteKind;

/*
 * What decides among rows put at one time, from the bytes that a value came in: Venice's,
 * which is that of Java's buffers, so that its servers decide alike.
 */
static inline int32
MergeTieHash(const char *value, int value_bytes)
{
	uint32		hash = 1;

	for (int i = value_bytes - 1; i >= 0; i--)
		hash = 31 * hash + (uint32) (signed char) value[i];
	return (int32) hash;
}

typedef struct RowWrite
{
	WriteKind	kind;
	FieldWrite *fields;			/* one for each column; not of the last two kinds */
	int64		time;			/* when it was made, in microseconds since 1970; > 0 */
	int32		region;			/* where; >= 0 */
	int32		tie_hash;		/* of a row put: decides among rows of one time */
	bool		with_pushed;	/* of WRITE_EXPIRE */
	bool		is_replayed;	/* what the policy, of later, cannot resolve is just done */
} RowWrite;

/* What is stored under a key. */
typedef struct MergeRow
{
	bool		exists;
	Datum	   *values;			/* of the columns, unless it does not exist */
	bool	   *isnull;
	bytea	   *metadata;		/* or NULL; of a row that does not exist: its tombstone */
} MergeRow;

typedef struct Merge Merge;

/* Lives in context, and refers to columns. */
extern Merge *MergeCreate(const MergeColumn *columns, int count, MergePolicy policy,
						  MemoryContext context);

/*
 * 0A000 unless the policy can resolve an update of columns from the first on: for who
 * does not apply it himself.
 */
extern void MergeCheckUpdate(MergePolicy policy, TupleDesc columns, int first,
							 const FieldWrite *fields);

/*
 * Apply a write to a row, in place; values come to lie in the current context, or are
 * the write's.  False when the write has lost, and nothing changed.
 */
extern bool MergeApply(Merge *merge, const RowWrite *write, MergeRow *row);

/*
 * Take from a row, in place, what was written before a time, as a delete of then would;
 * with_pushed also what fields have from a push, of a row that was written to since.  A row
 * of which nothing is left but defaults is gone.
 * False when there is nothing to take.  *earliest becomes the time of the oldest write
 * that is left, if that is less than it was.
 */
extern bool MergeExpire(Merge *merge, int64 before, bool with_pushed, MergeRow *row,
						int64 *earliest);

#endif							/* VENICE_MERGE_H */
