/*-------------------------------------------------------------------------
 *
 * format.h
 *		How the records of a topic are written, and which columns they fill.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_WIRE_FORMAT_H
#define VENICE_WIRE_FORMAT_H

#include "postgres.h"

/*
 * How keys and values are written.  Values are of the first three; keys of any:
 * WIRE_INT4 and WIRE_INT8 are big-endian (Kafka's Java serializers), WIRE_UUID
 * is 36 characters or 16 bytes, and WIRE_VALUE means that the key columns are
 * read from the value and the record's key counts for tombstones only, where it
 * is written as the value would be.
 */
typedef enum WireFormat
{
	WIRE_CONFLUENT_AVRO,
	WIRE_AVRO,
	WIRE_JSON,
	WIRE_TEXT,
	WIRE_INT4,
	WIRE_INT8,
	WIRE_UUID,
	WIRE_VALUE
} WireFormat;

/* By the option's spelling, as in "confluent-avro"; false for any other word. */
extern bool WireFormatParse(const char *name, WireFormat *format);
extern const char *WireFormatName(WireFormat format);

/* What is in front of a WIRE_CONFLUENT_AVRO: a magic byte, then the schema's id, big-endian. */
#define CONFLUENT_FRAME_BYTES	5
#define CONFLUENT_FRAME_MAGIC	0

typedef struct RecordColumn
{
	const char *name;			/* NULL: no record fills it */
	const char *field;			/* dotted path into the record; NULL: the name */
	Oid			type;
	int32		typmod;
	bool		is_key;			/* a key column is never NULL */
	bool		not_null;		/* a NULL rejects the record, 23502 */
	bool		has_default;	/* a missing field takes the default, else NULL */
	Datum		default_value;
	bool		default_isnull;
} RecordColumn;

typedef struct RecordFormat
{
	WireFormat	key_format;
	WireFormat	value_format;
	const char *key_schema;		/* Avro JSON: the writer's for WIRE_AVRO, the reader's or
								 * NULL for WIRE_CONFLUENT_AVRO */
	const char *value_schema;	/* likewise */
	bool		write_partial;	/* values carry some columns: they are updates */
	int			max_record_bytes;	/* key and value together; more is rejected, 54000 */
	const RecordColumn *columns;
	int			ncolumns;
} RecordFormat;

#endif							/* VENICE_WIRE_FORMAT_H */
