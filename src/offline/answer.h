/*-------------------------------------------------------------------------
 *
 * answer.h
 *		The rows that answer a request, made of joined rows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_ANSWER_H
#define VENICE_ANSWER_H

#include "offline/request.h"

/* Takes a row of the answer, good until the function returns: columns as in request->columns. */
typedef void (*AnswerReceiver) (void *state, const Datum *values, const bool *nulls);

/*
 * Join, compute, and hand over a row for each row of the spine.  Everything is done as
 * the current user, under the active snapshot.  report may be NULL.
 */
extern void AnswerRun(const HistoricalRequest *request, AnswerReceiver receive, void *state,
					  JoinReport *report);

#endif							/* VENICE_ANSWER_H */
