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

typedef struct Answer Answer;

/*
 * A row for each row of the spine, joined and computed.  Everything is done as the current
 * user, under the active snapshot; for workers and the report see JoinBegin.
 */
extern Answer *AnswerBegin(const HistoricalRequest *request, JoinReport *report);

/* The next into arrays of the caller's, good until the next call; false: none is left. */
extern bool AnswerNext(Answer *answer, Datum *values, bool *nulls);
extern void AnswerEnd(Answer *answer);

/* All of them, to a receiver. */
extern void AnswerRun(const HistoricalRequest *request, AnswerReceiver receive, void *state,
					  JoinReport *report);

#endif							/* VENICE_ANSWER_H */
