/*-------------------------------------------------------------------------
 *
 * served.h
 *		The log of what services have answered.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_SERVED_H
#define VENICE_SERVED_H

#include "utils/jsonb.h"

/* Ask for shared memory, while shared_preload_libraries is being processed. */
extern void ServedLogRequest(void);

/*
 * Note an answer of the service of this schema; status is NULL when all was present.
 * Waits for nothing and writes to no table: where there is no room, none is noted.
 */
extern void ServedLogAdd(Oid schema, const Jsonb *arguments, const Jsonb *features,
						 const Jsonb *status);

/* Has something been noted in this database that is not in the table yet, or is too old for it? */
extern bool ServedLogHasWork(void);

/* Put it there, and take out what is too old or too much.  In a transaction. */
extern void ServedLogWrite(void *unused);

#endif							/* VENICE_SERVED_H */
