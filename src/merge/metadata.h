/*-------------------------------------------------------------------------
 *
 * metadata.h
 *		When, and from where, the parts of a row were written: column "_meta".
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_MERGE_METADATA_H
#define VENICE_MERGE_METADATA_H

#include "merge/collection.h"

/* What kinds of columns there are to write to. */
typedef enum MergeKind
{
	MERGE_SCALAR,
	MERGE_LIST,					/* an array */
	MERGE_MAP					/* jsonb */
} MergeKind;

/* Of one column; of a collection what struct Collection keeps beside the value. */
typedef struct FieldMetadata
{
	int64		time;			/* of a scalar */
	bool		deleted;		/* what was written then is that there is none */
	Collection	collection;		/* members: of a map the merged ones, else counted only */
} FieldMetadata;

typedef struct RowMetadata
{
	bool		by_field;
	int64		time;			/* of the row, unless by_field */
	int32		tie_hash;		/* of the row's value, for another one of its time */
	FieldMetadata *fields;		/* by_field */
} RowMetadata;

/*
 * Read what is stored; NULL reads as a row that came with a push, earlier than any
 * write.  Columns that were added since were never written.  types has an entry for each
 * of count columns, NULL for a scalar.
 */
extern void MetadataRead(const bytea *stored, CollectionType **types, int count,
						 RowMetadata *metadata);

/* A row's one time, NEVER for NULL; false where its fields have times of their own. */
extern bool MetadataReadTime(const bytea *stored, int64 *time);

/* The bytes: the same for the same metadata.  Palloc'd. */
extern bytea *MetadataWrite(const RowMetadata *metadata, CollectionType **types, int count);

#endif							/* VENICE_MERGE_METADATA_H */
