/*-------------------------------------------------------------------------
 *
 * query.h
 *		SQL on the venice.* tables, and parameters for it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_QUERY_H
#define VENICE_QUERY_H

#include "executor/spi.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "common/user_context.h"

#define QUERY_MAX_ARGS 24

typedef struct QueryArgs
{
	int			count;
	Oid			types[QUERY_MAX_ARGS];
	Datum		values[QUERY_MAX_ARGS];
	char		nulls[QUERY_MAX_ARGS];
} QueryArgs;

/* Each adds the next parameter: the first call fills $1.  A NULL pointer is a NULL. */
extern void QueryArgText(QueryArgs *args, const char *value);
extern void QueryArgInt4(QueryArgs *args, int32 value);
extern void QueryArgInt8(QueryArgs *args, int64 value);
extern void QueryArgBool(QueryArgs *args, bool value);
extern void QueryArgJsonb(QueryArgs *args, const Jsonb *value);
extern void QueryArgTexts(QueryArgs *args, const List *texts);	/* of char *: an array */
extern void QueryArgDatum(QueryArgs *args, Oid type, Datum value, bool is_null);

/*
 * A connection to SPI under another identity.  Results live in SPI's memory
 * until QueryEnd; what must survive is copied into result_context, which is
 * the caller's context at QueryBegin.
 */
typedef struct QuerySession
{
	UserContext user;
	MemoryContext result_context;
} QuerySession;

extern void QueryBegin(QuerySession *session, Oid role);
extern void QueryEnd(QuerySession *session);

/* QueryBegin as the extension's owner: for the venice.* tables. */
extern void QueryBeginRegistry(QuerySession *session);

/*
 * Run one statement; an unexpected result code is an internal error.  Returns
 * the number of rows, which are in SPI_tuptable if the statement returns any.
 */
extern uint64 QueryRun(const char *sql, const QueryArgs *args);

/* A SELECT under the active snapshot, as a STABLE, PARALLEL SAFE function needs it. */
extern uint64 QueryRead(const char *sql, const QueryArgs *args);

/*
 * One statement that sees what is committed now, whatever the isolation level: for
 * the catalogs, of which the server sees nothing older itself, and for counters,
 * which others change meanwhile without anything depending on it.
 */
extern uint64 QueryRunLatest(const char *sql, const QueryArgs *args);

/*
 * The same as QueryRun, for what a process asks again and again: sql is planned once,
 * and the plan kept in *plan, a static variable that is NULL at first.
 */
extern uint64 QueryRunKept(SPIPlanPtr *plan, const char *sql, const QueryArgs *args);

/* A relation's name with its schema, quoted; palloc'd. */
extern char *QualifiedName(Oid relation);

/* Run one utility or DML statement made of trusted, quoted parts. */
extern void QueryRunf(const char *format,...) pg_attribute_printf(1, 2);

/*
 * Columns of row `row` of SPI_tuptable, by number from 1.  Text and jsonb are copied
 * into `context`, and NULL for NULL; of an array of text, or a column of many rows, a list
 * of char *.
 */
extern char *QueryText(uint64 row, int column, MemoryContext context);
extern List *QueryTexts(uint64 row, int column, MemoryContext context);
extern List *QueryTextColumn(uint64 rows, int column, MemoryContext context);
extern Jsonb *QueryJsonb(uint64 row, int column, MemoryContext context);
extern Datum QueryDatum(uint64 row, int column, bool *is_null);
extern int64 QueryInt8(uint64 row, int column, int64 if_null);
extern int32 QueryInt4(uint64 row, int column, int32 if_null);
extern bool QueryBool(uint64 row, int column);

#endif							/* VENICE_QUERY_H */
