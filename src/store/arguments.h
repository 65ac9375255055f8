/*-------------------------------------------------------------------------
 *
 * arguments.h
 *		Arguments of the SQL functions on stores.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_ARGUMENTS_H
#define VENICE_ARGUMENTS_H

#include "fmgr.h"
#include "utils/jsonb.h"

#include "catalog/store.h"

/* Raise 25006, with a hint, where the server is a standby. */
extern void FunctionPreventInRecovery(FunctionCallInfo fcinfo);

/* Raise 25006 where nothing can be written. */
extern void FunctionRequireWritable(FunctionCallInfo fcinfo);

/* A text argument, NULL for NULL; 22004 if it is required. */
extern char *ArgumentText(FunctionCallInfo fcinfo, int number, const char *name, bool required);

/* A jsonb argument; an empty object for NULL. */
extern Jsonb *ArgumentOptions(FunctionCallInfo fcinfo, int number);

/*
 * The store named by argument 0, locked exclusively until the end of the
 * transaction, looked up after that, and owned by the caller.  25006 where nothing
 * can be written.
 */
extern Store *ArgumentOwnedStore(FunctionCallInfo fcinfo);

/* An integer argument; 22004 for NULL. */
extern int32 ArgumentInt4(FunctionCallInfo fcinfo, int number, const char *name);

/*
 * For the error context stack while something is done to what a user wrote, standing
 * in a text of ours: UserTextPoint makes positions his.
 */
typedef struct UserText
{
	const char *text;
	int			offset;			/* characters of ours before it */
	const char *hint;			/* or NULL */
} UserText;

extern void UserTextPoint(void *user_text);

/*
 * Parse what a user wrote, standing between two texts of ours.  An error points
 * into his text, and has the hint, if there is one.
 */
extern List *ParseUserText(const char *before, const char *text, const char *after,
						   const char *hint);

#endif							/* VENICE_ARGUMENTS_H */
