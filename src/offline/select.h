/*-------------------------------------------------------------------------
 *
 * select.h
 *		Running a SELECT as the current user, its rows taken as they come.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_SELECT_H
#define VENICE_SELECT_H

#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"

/*
 * One SELECT that changes nothing, analysed and rewritten; what is called in messages
 * ("spine").  42601 and 0A000 for anything else, and errors point into the text.
 */
extern Query *SelectAnalyze(const char *sql, const char *what, Oid *types, int type_count);

/* 42501 unless the current user may read what the query reads. */
extern void SelectCheckRights(Query *query);

typedef void (*SelectReceiver) (void *state, TupleTableSlot *slot);

/*
 * Plan and run all of it, by parallel workers too.  The query is consumed.  The slots are
 * the executor's, good for one call.
 */
extern void SelectRun(Query *query, const char *sql, SelectReceiver receive, void *state);

/* The same in pieces. */
typedef struct SelectCursor SelectCursor;

extern SelectCursor *SelectOpen(Query *query, const char *sql, ParamListInfo params);
extern TupleDesc SelectColumns(SelectCursor *cursor);

/* The next row, good until the next call; NULL at the end. */
extern TupleTableSlot *SelectNext(SelectCursor *cursor);
extern void SelectClose(SelectCursor *cursor);

#endif							/* VENICE_SELECT_H */
