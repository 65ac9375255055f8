/*-------------------------------------------------------------------------
 *
 * put.h
 *		Writing to a store, row by row.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_PUT_H
#define VENICE_PUT_H

#include "catalog/store.h"

/*
 * Put the rows of a query, whose columns are the store's in their order, and return how
 * many there were; through the outbox, where the store has real-time topics, between marks
 * with the push's id.  It runs as the current user, who may act as the store's owner.
 * 55000 for a store whose rows are those of a topic that is not written to, 42804 for a
 * query of another shape.
 */
extern int64 StorePutQuery(const Store *store, const char *query, const char *push_id);

#endif							/* VENICE_PUT_H */
