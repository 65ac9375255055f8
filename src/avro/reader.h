/*-------------------------------------------------------------------------
 *
 * reader.h
 *		Binary Avro to PostgreSQL values.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_AVRO_READER_H
#define VENICE_AVRO_READER_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/palloc.h"

#include "avro/schema_columns.h"
#include "common/decode_error.h"
#include "common/field_write.h"

/* Where one value of a datum goes. */
typedef struct AvroColumn
{
	/*
	 * Field of the record, or a dotted path into nested records; NULL when
	 * the whole datum is the value.  With a reader schema fields have the
	 * reader's names, without one the writer's.  Of a datum that is no record,
	 * "value" is the whole, as it is the name of the column made for one.
	 */
	const char *field;
	Oid			type;
	int32		typmod;
	bool		not_null;		/* a NULL is an error 23502 */
	bool		has_default;	/* a field that no schema has is default_value, else NULL */
	Datum		default_value;
	bool		default_isnull;
} AvroColumn;

typedef struct AvroReader AvroReader;

/*
 * Compile.  texts[0..ntexts-2] define names that texts[ntexts-1], the writer's
 * schema, refers to; reader_schema may refer to them too, and NULL means "as
 * written".  The reader and its copy of columns live in context.  NULL and
 * *error when a schema is invalid (22023, 54000), or when the two do not
 * resolve or do not fit the columns (42804).
 */
extern AvroReader *AvroReaderCreate(const char *const *texts, int ntexts, const char *reader_schema,
									const AvroColumn *columns, int ncolumns,
									MemoryContext context, DecodeError *error);

/*
 * Decode one datum, which must fill data exactly, into values and isnull.
 * Values live in CurrentMemoryContext, never point into data, and are freed
 * with the context, not one by one.  False and *error for a datum that is
 * malformed (22P03), too large (54000), or does not fit; raises what a type's
 * input function raises.  The reader is usable after either.
 */
extern bool AvroReaderDecode(AvroReader *reader, const char *data, size_t data_bytes,
							 Datum *values, bool *isnull, DecodeError *error);

/*
 * The same for data that say something of some columns only, as AvroResolveUpdate has it:
 * a column whose field the writer has not is kept, whatever its default or the field's.
 * Such a reader decodes with the latter of these, into one field for each column.
 */
extern AvroReader *AvroUpdateReaderCreate(const char *const *texts, int ntexts,
										  const char *reader_schema,
										  const AvroColumn *columns, int ncolumns,
										  MemoryContext context, DecodeError *error);
extern bool AvroUpdateReaderDecode(AvroReader *reader, const char *data, size_t data_bytes,
								   FieldWrite *fields, DecodeError *error);

/*
 * For people: the datum as jsonb by the writer's schema alone.  A reader made
 * with ncolumns = 0 will do.
 */
extern bool AvroDatumToJsonb(AvroReader *reader, const char *data, size_t data_bytes,
							 Jsonb **result, DecodeError *error);

#endif							/* VENICE_AVRO_READER_H */
