/*-------------------------------------------------------------------------
 *
 * history_care.h
 *		What is done for histories again and again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_HISTORY_CARE_H
#define VENICE_HISTORY_CARE_H

#include "nodes/pg_list.h"

/* Names of stores, of char *, whose histories something is to be done for. */
extern List *HistoriesInNeed(void);

/* Is there one?  For who asks all the time: the answer may be some seconds old. */
extern bool HistoryCareIsNeeded(void);

/* Do the next thing for a store's history; says whether there was one. */
extern bool HistoryCare(const char *store);

#endif							/* VENICE_HISTORY_CARE_H */
