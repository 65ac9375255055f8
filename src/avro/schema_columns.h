/*-------------------------------------------------------------------------
 *
 * schema_columns.h
 *		The columns of a store that is made from an Avro schema.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_AVRO_SCHEMA_COLUMNS_H
#define VENICE_AVRO_SCHEMA_COLUMNS_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef struct AvroSchemaColumn
{
	char	   *name;
	char	   *type_name;		/* SQL, e.g. "double precision[]" */
	bool		nullable;
	char	   *default_expr;	/* SQL literal, or NULL */
	char	   *source_type;	/* e.g. "union{null,long}" or "long (timestamp-millis)" */
} AvroSchemaColumn;

/*
 * One AvroSchemaColumn per field of a record, in order, or one named "value"
 * for a schema that is no record.  Raises 22023 naming what is wrong.
 */
extern List *AvroSchemaColumns(const char *schema_text);

#endif							/* VENICE_AVRO_SCHEMA_COLUMNS_H */
