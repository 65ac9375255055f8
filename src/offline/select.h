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

/*
 * The same in pieces: planned once, for parameters of which some may not be known yet, and
 * started as often as wanted, each time for other parameters.
 */
typedef struct SelectCursor SelectCursor;

extern SelectCursor *SelectPrepare(Query *query, const char *sql, ParamListInfo params);
extern void SelectStart(SelectCursor *cursor, ParamListInfo params);

/* What it was estimated to cost once, in the planner's units. */
extern double SelectCost(const SelectCursor *cursor);
extern TupleDesc SelectColumns(SelectCursor *cursor);

/* The next row, good until the next call; NULL at the end. */
extern TupleTableSlot *SelectNext(SelectCursor *cursor);
extern void SelectClose(SelectCursor *cursor);

#endif							/* VENICE_SELECT_H */
