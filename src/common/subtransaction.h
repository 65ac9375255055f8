/*-------------------------------------------------------------------------
 *
 * subtransaction.h
 *		Trying something that may fail in a foreseen way.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_SUBTRANSACTION_H
#define VENICE_SUBTRANSACTION_H

typedef void (*SubtransactionAction) (void *argument);

/*
 * Run an action in a subtransaction of its own.  NULL when it succeeded; when it
 * failed with the expected SQLSTATE the error, in the caller's memory context,
 * and nothing of what it did.  Any other error is raised on; of
 * SUBTRANSACTION_ANY_ERROR only a request to stop is.
 */
#define SUBTRANSACTION_ANY_ERROR 0

extern ErrorData *SubtransactionTry(SubtransactionAction action, void *argument,
									int expected_sqlstate);

/*
 * The same with any error; and what the action did is undone if *undo is true at its
 * end.
 */
extern ErrorData *SubtransactionTryUnless(SubtransactionAction action, void *argument,
										  const bool *undo);

#endif							/* VENICE_SUBTRANSACTION_H */
